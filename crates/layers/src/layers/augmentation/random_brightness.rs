//! Brightness changed at random.

use regraft_tensor::Detail;
use regraft_tensor::kernels::samples::each_sample;
use serde_json::json;

use super::common::{Common, ValueRange};
use super::factor::{Factor, pair};
use super::transformation::{Draws, Images, Transformation, augmentation};
use crate::layers::object;
use crate::settings::{FromSettings, Map, Settings};

/// While it trains, `y = x + f · (high − low)` with `f` drawn evenly from `factor` for each image; then cut
/// off at the range.
///
/// | | |
/// |---|---|
/// | input, output | `(batch, rows, columns, channels)`, the same |
/// | weights | none; frozen or in inference nothing changes |
/// | defaults | pixels from 0 to 255 |
///
/// Keras: <https://keras.io/api/layers/preprocessing_layers/image_augmentation/random_brightness/>.
#[derive(Clone, Debug)]
pub struct RandomBrightness {
    factor: Factor,
    value_range: ValueRange,
    common: Common,
}

impl RandomBrightness {
    /// A layer that makes images brighter or darker by at most `factor` of the range, or from one share
    /// to another: `(−0.3, 0.1)`; each from −1 to 1.
    pub fn new(factor: impl Into<Factor>) -> Self {
        RandomBrightness {
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

augmentation!(RandomBrightness);

impl Transformation for RandomBrightness {
    fn common(&self) -> &Common {
        &self.common
    }

    fn settings(&self) -> Map {
        object(json!({
            "factor": pair(self.factor.range(-1.0)),
            "value_range": self.value_range.serialize(),
            "seed": self.common.seed,
        }))
    }

    fn check(&self, _channels: usize) -> Result<(), Detail> {
        self.factor.check("factor", -1.0, 1.0)?;
        self.value_range.check()
    }

    fn transform(&self, x: &[f32], images: Images, draws: &Draws, y: &mut [f32]) {
        let shares = draws.uniform(images.samples, self.factor.range(-1.0));
        let [low, high] = self.value_range.0;
        each_sample(y, images.row(), 1, |sample, y| {
            let more = shares[sample] * (high - low);
            for (y, &x) in y.iter_mut().zip(&x[sample * images.row()..]) {
                *y = self.value_range.clip(x + more);
            }
        });
    }
}

impl FromSettings for RandomBrightness {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        Ok(RandomBrightness {
            factor: settings.factor("factor", 0.0)?,
            value_range: settings.value_range()?,
            common: Common::from_settings(settings)?,
        })
    }
}
