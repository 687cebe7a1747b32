//! A penalty on activations.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;

use super::support::single;
use crate::regularizers::L1L2;
use crate::settings::require_rate;
use crate::{Call, Flow, Layer, Weights};

settings! {
    /// `y = x`, and adds `l1 · Σ |x| + l2 · Σ x²`, divided by the number of samples, to the loss, in training and in
    /// evaluation.
    ///
    /// Input and output have the same shape, any; there are no weights. Frozen, it adds the same.
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
        let penalty = L1L2 {
            l1: self.l1,
            l2: self.l2,
        };
        if penalty != L1L2::default() {
            call.activity_penalty(&Some(penalty.into()), inputs[0]);
        }
        inputs[0]
    }

    fn mask<'g>(&self, call: &Call<'g, '_>, _inputs: &[Var<'g>]) -> Option<Var<'g>> {
        call.mask(0)
    }
}
