//! A penalty on activations.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;

use super::support::single;
use crate::settings::require_rate;
use crate::{Call, Flow, Layer, Weights};

settings! {
    /// `y = x`, and adds `l1 · Σ |x| + l2 · Σ x²`, divided by the number of samples, to the loss while it
    /// is trained.
    ///
    /// Input and output have the same shape, any; there are no weights. Frozen, it adds nothing.
    /// Keras: <https://keras.io/api/layers/regularization_layers/activity_regularization/>.
    #[derive(Clone, Copy, Debug)]
    pub struct ActivityRegularization as "keras.layers.ActivityRegularization" {
        /// The factor of the absolute values; 0 by default.
        pub l1: f32 = 0.0,
        /// The factor of the squares; 0 by default.
        pub l2: f32 = 0.0,
    }
}

impl Layer for ActivityRegularization {
    fn flow(&self) -> Flow {
        Flow::Keeps
    }

    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        require_rate("l1", self.l1)?;
        require_rate("l2", self.l2)?;
        single(inputs).map(|_| ())
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        let x = inputs[0];
        if call.training() {
            let absolute = |x: Var<'g>| x.relu() + (-x).relu();
            if self.l1 != 0.0 {
                call.penalty(call.per_sample(absolute(x).sum_all() * self.l1));
            }
            if self.l2 != 0.0 {
                call.penalty(call.per_sample(x.square().sum_all() * self.l2));
            }
        }
        x
    }

    fn mask<'g>(&self, call: &Call<'g, '_>, _inputs: &[Var<'g>]) -> Option<Var<'g>> {
        call.mask(0)
    }
}
