//! Samples of length 1.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;

use super::support::{axes_of, fixed_axes, single};
use crate::settings::axes;
use crate::{Call, Flow, Layer, Weights};

settings! {
    /// `y = x / max(√(Σ x²), 1e-12)`, the sum of each sample over `axis` (the last unless told
    /// otherwise), so that its length there is 1; zero stays zero.
    ///
    /// Input and output have the same shape, any; there are no weights; being frozen changes nothing.
    /// Keras: <https://keras.io/api/layers/normalization_layers/unit_normalization/>.
    #[derive(Clone, Debug)]
    pub struct UnitNormalization as "keras.layers.UnitNormalization" {
        /// A layer for the last axis.
        new()
        /// The axes normalized over; negative ones count from the end.
        axis: Vec<isize> = [-1],
    }
    writing |it, config| {
        config["axis"] = axes(&it.axis);
    }
}

impl Layer for UnitNormalization {
    fn flow(&self) -> Flow {
        Flow::Keeps
    }

    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        fixed_axes(&self.axis, single(inputs)?).map(|_| ())
    }

    fn call<'g>(&self, _call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        let x = inputs[0];
        let squares = x.square().sum_keeping(&axes_of(&self.axis, x));
        // The bound is under the root, so that the gradient at zero is a number.
        x / squares.maximum(1e-24).sqrt()
    }

    fn mask<'g>(&self, call: &Call<'g, '_>, _inputs: &[Var<'g>]) -> Option<Var<'g>> {
        call.mask(0)
    }
}
