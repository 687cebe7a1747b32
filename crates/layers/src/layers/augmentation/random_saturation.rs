//! Saturation changed at random.

use regraft_tensor::Detail;
use regraft_tensor::kernels::samples::each_sample;
use serde_json::json;

use super::common::{Common, ValueRange, require_colour};
use super::factor::{Factor, pair};
use super::hsv;
use super::transformation::{Draws, Images, Transformation, augmentation};
use crate::layers::object;
use crate::settings::{FromSettings, Map, Settings};

/// While it trains, multiplies the saturation of each image by `f / (1 − f)`, with `f` drawn evenly from
/// `factor`: 0 makes it gray, 0.5 changes nothing, 1 makes all colours pure. As in Keras, saturations are
/// cut off at the range of the pixels.
///
/// | | |
/// |---|---|
/// | input, output | `(batch, rows, columns, 3)`, the same |
/// | weights | none; frozen or in inference nothing changes |
/// | defaults | pixels from 0 to 255 |
///
/// Keras: <https://keras.io/api/layers/preprocessing_layers/image_augmentation/random_saturation/>.
#[derive(Clone, Debug)]
pub struct RandomSaturation {
    factor: Factor,
    value_range: ValueRange,
    common: Common,
}

impl RandomSaturation {
    /// A layer for this factor, from 0 to 1, or from one to another: `(0.4, 0.6)`. One number `f` means
    /// `(−f, f)`, as in Keras.
    pub fn new(factor: impl Into<Factor>) -> Self {
        RandomSaturation {
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

augmentation!(RandomSaturation);

/// Keras' epsilon.
const EPSILON: f32 = 1e-7;

impl Transformation for RandomSaturation {
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

    fn check(&self, channels: usize) -> Result<(), Detail> {
        self.factor.check("factor", -1.0, 1.0)?;
        self.value_range.check()?;
        require_colour(channels)
    }

    fn transform(&self, x: &[f32], images: Images, draws: &Draws, y: &mut [f32]) {
        let factors = draws.uniform(images.samples, self.factor.range(-1.0));
        each_sample(y, images.row(), 16, |sample, y| {
            let factor = factors[sample] / (1.0 - factors[sample] + EPSILON);
            let x = &x[sample * images.row()..][..images.row()];
            hsv::each_pixel(x, y, |[hue, saturation, value]| {
                [hue, self.value_range.clip(saturation * factor), value]
            });
        });
    }
}

impl FromSettings for RandomSaturation {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        Ok(RandomSaturation {
            factor: settings.factor("factor", 0.0)?,
            value_range: settings.value_range()?,
            common: Common::from_settings(settings)?,
        })
    }
}
