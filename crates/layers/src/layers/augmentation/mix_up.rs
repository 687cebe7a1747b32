//! Images mixed with others of their batch.

use regraft_tensor::Detail;
use regraft_tensor::kernels::samples::each_sample;
use serde_json::json;

use super::common::Common;
use super::transformation::{Draws, Images, Transformation, augmentation};
use crate::layers::object;
use crate::settings::{FromSettings, Map, Settings, number, require};

/// While it trains, `y = w x + (1 − w) x'`, with another image `x'` of the batch and `w` of a beta distribution
/// with both parameters `alpha`, for each image. Targets are not mixed (Keras mixes them only where images and
/// labels go through the layer together, in a pipeline of data).
///
/// | | |
/// |---|---|
/// | input, output | `(batch, rows, columns, channels)`, the same |
/// | weights | none; frozen or in inference nothing changes |
/// | defaults | `alpha` 0.2 |
///
/// Keras: <https://keras.io/api/layers/preprocessing_layers/image_augmentation/mix_up/>.
#[derive(Clone, Debug)]
pub struct MixUp {
    alpha: f32,
    common: Common,
}

impl MixUp {
    /// A layer that mixes: the smaller `alpha`, the more one of the two images prevails.
    pub fn new(alpha: f32) -> Self {
        MixUp {
            alpha,
            common: Common::default(),
        }
    }
}

augmentation!(MixUp);

impl Transformation for MixUp {
    fn common(&self) -> &Common {
        &self.common
    }

    fn settings(&self) -> Map {
        object(json!({ "alpha": number(self.alpha), "seed": self.common.seed }))
    }

    fn check(&self, _channels: usize) -> Result<(), Detail> {
        let fits = self.alpha.is_finite() && self.alpha > 0.0;
        require(fits, "alpha", "a positive number", self.alpha)
    }

    fn transform(&self, x: &[f32], images: Images, draws: &Draws, y: &mut [f32]) {
        let order = draws.permutation(images.samples);
        let weights = draws.beta(images.samples, f64::from(self.alpha));
        let row = images.row();
        each_sample(y, row, 2, |sample, y| {
            let weight = weights[sample];
            let pixels = x[sample * row..]
                .iter()
                .zip(&x[order[sample] as usize * row..]);
            for (y, (x, other)) in y.iter_mut().zip(pixels) {
                *y = weight * x + (1.0 - weight) * other;
            }
        });
    }
}

impl FromSettings for MixUp {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        Ok(MixUp {
            alpha: settings.number("alpha", 0.2)?,
            common: Common::from_settings(settings)?,
        })
    }
}
