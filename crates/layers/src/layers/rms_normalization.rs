//! Normalization of each sample by its root mean square.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;

use super::support::{along, axes_of, fixed_axes, single};
use crate::settings::require_rate;
use crate::{Call, Flow, Initializer, Layer, Weights};

settings! {
    /// `y = scale · x / √(mean(x²) + epsilon)`, the mean of each sample over `axis`.
    ///
    /// | | |
    /// |---|---|
    /// | input, output | `(batch, …)`, the same |
    /// | weights | `scale`, with the sizes of `axis`, 1 at first |
    /// | defaults | last axis, epsilon 1e-6 |
    /// | frozen | computes the same; scale is a constant |
    ///
    /// Zhang and Sennrich 2019.
    /// Keras: <https://keras.io/api/layers/normalization_layers/rms_normalization/>.
    #[derive(Clone, Debug)]
    pub struct RMSNormalization as "keras.layers.RMSNormalization" {
        /// A layer with Keras' defaults.
        new()
        /// The axes normalized over; negative ones count from the end.
        axis: Vec<isize> = [-1],
        /// What is added to the mean square.
        epsilon: f32 = 1e-6 => require_rate,
    }
}

impl Layer for RMSNormalization {
    fn flow(&self) -> Flow {
        Flow::Keeps
    }

    fn build(&self, inputs: &[Shape], weights: &mut Weights) -> Result<(), Detail> {
        require_rate("epsilon", self.epsilon)?;
        let (axes, sizes) = fixed_axes(&self.axis, single(inputs)?)?;
        weights
            .parameter("scale", &sizes, &Initializer::ones())
            .along(&axes);
        Ok(())
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        let x = inputs[0];
        let axes = axes_of(&self.axis, x);
        let root = (x.square().mean_keeping(&axes) + self.epsilon).sqrt();
        x / root * along(call.weight("scale"), &axes, x)
    }
}
