//! The features of a network's stages, as detectors and the like want them: timm's `features_only`.

use super::network::PyTorchNetwork;
use crate::applications::Application;
use crate::{Model, Result};

/// One stage of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureInfo {
    /// The layer whose output it is.
    pub layer: String,
    /// By how much rows and columns are smaller than the image's.
    pub reduction: usize,
    /// The number of channels.
    pub channels: usize,
}

impl Application<PyTorchNetwork> {
    /// The stages of the network, from the first features to the last, with what each has.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn feature_info(&self) -> Result<Vec<FeatureInfo>> {
        let backbone = self.clone().include_top(false).build()?;
        let stages = self.architecture().body.stages();
        let model = backbone.model.features(stages.iter().map(String::as_str))?;
        let rows = backbone.model.input_shapes()[0].dims()[1].size(1);
        let info = |(layer, shape): (String, regraft_autograd::Shape)| {
            let sizes: Vec<usize> = shape.dims()[1..].iter().map(|dim| dim.size(1)).collect();
            FeatureInfo {
                layer,
                // A side that is no multiple of the stride is rounded.
                reduction: (rows as f64 / sizes[0] as f64).log2().round().exp2() as usize,
                channels: sizes[2],
            }
        };
        Ok(stages
            .into_iter()
            .zip(model.output_shapes())
            .map(info)
            .collect())
    }
}

impl PyTorchNetwork {
    /// The model whose outputs are those of the network's stages: timm's `features_only=True`.
    ///
    /// # Errors
    /// A model that has not the layers.
    pub fn features_of(&self, model: &Model) -> Result<Model> {
        model.features(self.body.stages().iter().map(String::as_str))
    }
}
