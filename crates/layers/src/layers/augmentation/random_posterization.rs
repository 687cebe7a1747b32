//! Bits of colour taken away at random.

use regraft_tensor::Detail;
use regraft_tensor::kernels::samples::each_sample;
use serde_json::json;

use super::common::{Common, ValueRange};
use super::factor::Factor;
use super::transformation::{Draws, Images, Transformation, augmentation};
use crate::layers::object;
use crate::settings::{FromSettings, Map, Settings};

/// While it trains, keeps the upper bits of each pixel as a byte; how many is drawn for each image from the
/// whole numbers of `factor`, without the upper end (as Keras does) if there are two.
///
/// | | |
/// |---|---|
/// | input, output | `(batch, rows, columns, channels)`, the same |
/// | weights | none; frozen or in inference nothing changes |
/// | defaults | pixels from 0 to 255 |
///
/// Keras: <https://keras.io/api/layers/preprocessing_layers/image_augmentation/random_posterization/>.
#[derive(Clone, Debug)]
pub struct RandomPosterization {
    factor: Factor,
    value_range: ValueRange,
    common: Common,
}

impl RandomPosterization {
    /// A layer that keeps less than `factor` bits and at least one, or from one number to another, each
    /// from 1 to 8.
    pub fn new(factor: impl Into<Factor>) -> Self {
        RandomPosterization {
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

augmentation!(RandomPosterization);

impl Transformation for RandomPosterization {
    fn common(&self) -> &Common {
        &self.common
    }

    fn settings(&self) -> Map {
        let (low, high) = self.factor.range(1.0);
        object(json!({
            // Keras takes nothing else than whole numbers.
            "factor": [low as u32, high as u32],
            "value_range": self.value_range.serialize(),
            "seed": self.common.seed,
        }))
    }

    fn check(&self, _channels: usize) -> Result<(), Detail> {
        self.factor.check("factor", 1.0, 8.0)?;
        self.value_range.check()
    }

    fn transform(&self, x: &[f32], images: Images, draws: &Draws, y: &mut [f32]) {
        let kept = draws.uniform(images.samples, self.factor.range(1.0));
        let (bytes, range) = (ValueRange::BYTES, self.value_range);
        each_sample(y, images.row(), 2, |sample, y| {
            let dropped = 8 - (kept[sample] as u32).min(8);
            for (y, &x) in y.iter_mut().zip(&x[sample * images.row()..]) {
                let byte = u32::from(range.convert(x, bytes) as u8);
                *y = bytes.convert((byte >> dropped << dropped) as f32, range);
            }
        });
    }
}

impl FromSettings for RandomPosterization {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        Ok(RandomPosterization {
            factor: settings.factor("factor", 8.0)?,
            value_range: settings.value_range()?,
            common: Common::from_settings(settings)?,
        })
    }
}
