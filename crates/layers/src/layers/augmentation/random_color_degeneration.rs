//! Colour weakened at random.

use regraft_tensor::Detail;
use regraft_tensor::kernels::samples::each_sample;
use serde_json::json;

use super::common::{Common, ValueRange, gray, require_gray_or_colour};
use super::factor::{Factor, pair};
use super::transformation::{Draws, Images, Transformation, augmentation};
use crate::layers::object;
use crate::settings::{FromSettings, Map, Settings};

/// While it trains, `y = x + f · (gray − x)` with `f` drawn evenly from `factor` for each image; then cut off
/// at the range. With 0 nothing changes, with 1 the image is gray.
///
/// | | |
/// |---|---|
/// | input, output | `(batch, rows, columns, 3 or 1)`, the same |
/// | weights | none; frozen or in inference nothing changes |
/// | defaults | pixels from 0 to 255 |
///
/// Keras: <https://keras.io/api/layers/preprocessing_layers/image_augmentation/random_color_degeneration/>.
#[derive(Clone, Debug)]
pub struct RandomColorDegeneration {
    factor: Factor,
    value_range: ValueRange,
    common: Common,
}

impl RandomColorDegeneration {
    /// A layer for this factor, or from one to another: `(0, 0.5)`; each from −1 to 1. One number `f`
    /// means `(−f, f)`, as in Keras.
    pub fn new(factor: impl Into<Factor>) -> Self {
        RandomColorDegeneration {
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

augmentation!(RandomColorDegeneration);

impl Transformation for RandomColorDegeneration {
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
        require_gray_or_colour(channels)
    }

    fn transform(&self, x: &[f32], images: Images, draws: &Draws, y: &mut [f32]) {
        let factors = draws.uniform(images.samples, self.factor.range(-1.0));
        let channels = images.channels;
        each_sample(y, images.row(), 2, |sample, y| {
            let x = &x[sample * images.row()..][..images.row()];
            let pixels = x.chunks_exact(channels).zip(y.chunks_exact_mut(channels));
            for (x, y) in pixels {
                let gray = gray(x);
                for (y, &x) in y.iter_mut().zip(x) {
                    *y = self.value_range.clip(x + factors[sample] * (gray - x));
                }
            }
        });
    }
}

impl FromSettings for RandomColorDegeneration {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        Ok(RandomColorDegeneration {
            factor: settings.factor("factor", 0.0)?,
            value_range: settings.value_range()?,
            common: Common::from_settings(settings)?,
        })
    }
}
