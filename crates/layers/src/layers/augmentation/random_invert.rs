//! Negatives at random.

use regraft_tensor::Detail;
use regraft_tensor::kernels::samples::each_sample;
use serde_json::json;

use super::common::{Common, ValueRange};
use super::factor::{Factor, pair};
use super::transformation::{Draws, Images, Transformation, augmentation};
use crate::layers::object;
use crate::settings::{FromSettings, Map, Settings};

/// While it trains, `y = high − x` with a probability that is drawn evenly from `factor` for each image.
///
/// | | |
/// |---|---|
/// | input, output | `(batch, rows, columns, channels)`, the same |
/// | weights | none; frozen or in inference nothing changes |
/// | defaults | `factor` 1, pixels from 0 to 255 |
///
/// Keras: <https://keras.io/api/layers/preprocessing_layers/image_augmentation/random_invert/>.
#[derive(Clone, Debug)]
pub struct RandomInvert {
    factor: Factor,
    value_range: ValueRange,
    common: Common,
}

impl RandomInvert {
    /// A layer that inverts an image with a probability up to `factor`, or from one to another.
    pub fn new(factor: impl Into<Factor>) -> Self {
        RandomInvert {
            factor: factor.into(),
            value_range: ValueRange::BYTES,
            common: Common::default(),
        }
    }

    /// The least and the largest value of pixels; 0 and 255 unless told otherwise.
    #[must_use]
    pub fn value_range(mut self, low: f32, high: f32) -> Self {
        self.value_range = ValueRange([low, high]);
        self
    }
}

augmentation!(RandomInvert);

impl Transformation for RandomInvert {
    fn common(&self) -> &Common {
        &self.common
    }

    fn settings(&self) -> Map {
        object(json!({
            "factor": pair(self.factor.range(0.0)),
            "value_range": self.value_range.serialize(),
            "seed": self.common.seed,
        }))
    }

    fn check(&self, _channels: usize) -> Result<(), Detail> {
        self.factor.check("factor", 0.0, 1.0)?;
        self.value_range.check()
    }

    fn transform(&self, x: &[f32], images: Images, draws: &Draws, y: &mut [f32]) {
        let chosen = draws.chances(images.samples, self.factor.range(0.0));
        let high = self.value_range.0[1];
        each_sample(y, images.row(), 1, |sample, y| {
            for (y, &x) in y.iter_mut().zip(&x[sample * images.row()..]) {
                *y = if chosen[sample] { high - x } else { x };
            }
        });
    }
}

impl FromSettings for RandomInvert {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        Ok(RandomInvert {
            factor: settings.factor("factor", 1.0)?,
            value_range: settings.value_range()?,
            common: Common::from_settings(settings)?,
        })
    }
}
