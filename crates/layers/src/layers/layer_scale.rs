//! A factor for each channel, which begins small.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;

use super::support::features;
use crate::settings::require;
use crate::{Call, Flow, Layer, Weights, initializers};

settings! {
    /// `y = x · gamma`, with a gamma for each index of the last axis: the layer of ConvNeXt.
    ///
    /// | | |
    /// |---|---|
    /// | input, output | `(batch, …, projection_dim)`, the same |
    /// | weights | `gamma` `(projection_dim,)`, `init_values` at first (Keras gives it no name of its own) |
    /// | frozen | computes the same; gamma is a constant |
    ///
    /// Touvron et al. 2021, "Going deeper with Image Transformers".
    /// Keras: <https://keras.io/api/applications/convnext/>.
    #[derive(Clone, Copy, Debug)]
    pub struct LayerScale as "keras.src.applications.convnext.LayerScale" {
        /// A layer for `projection_dim` channels whose factors begin as `init_values`.
        new(init_values: f32, projection_dim: usize)
        init_values: f32 = init_values,
        projection_dim: usize = projection_dim,
    }
}

impl Layer for LayerScale {
    fn flow(&self) -> Flow {
        Flow::Keeps
    }

    fn build(&self, inputs: &[Shape], weights: &mut Weights) -> Result<(), Detail> {
        let features = features(inputs)?;
        let fits = features == self.projection_dim;
        let expected = format!("{features}, as the input has");
        require(fits, "projection_dim", &expected, self.projection_dim)?;
        let initializer = initializers::Constant {
            value: self.init_values,
        }
        .into();
        let last = inputs[0].rank() - 1;
        weights
            .parameter("gamma", [features], &initializer)
            .along(&[last]);
        Ok(())
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        inputs[0] * call.weight("gamma")
    }
}
