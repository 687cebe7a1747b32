//! Hue changed at random.

use regraft_tensor::Detail;
use regraft_tensor::kernels::samples::each_sample;
use serde_json::json;

use super::common::{Common, ValueRange, require_colour};
use super::factor::{Factor, pair};
use super::hsv;
use super::transformation::{Draws, Images, Transformation, augmentation};
use crate::layers::object;
use crate::settings::{FromSettings, Map, Settings};

/// While it trains, turns the hue of each image by half of a number drawn evenly from `factor`, in a
/// direction that is drawn too (1 is a full turn).
///
/// | | |
/// |---|---|
/// | input, output | `(batch, rows, columns, 3)`, the same |
/// | weights | none; frozen or in inference nothing changes |
/// | defaults | pixels from 0 to 255 |
///
/// Keras: <https://keras.io/api/layers/preprocessing_layers/image_augmentation/random_hue/>.
#[derive(Clone, Debug)]
pub struct RandomHue {
    factor: Factor,
    value_range: ValueRange,
    common: Common,
}

impl RandomHue {
    /// A layer that turns by up to `factor`, from 0 to 1, or from one to another.
    pub fn new(factor: impl Into<Factor>) -> Self {
        RandomHue {
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

augmentation!(RandomHue);

/// Pixels as they are while the hue is turned.
const UNIT: ValueRange = ValueRange([0.0, 1.0]);

impl Transformation for RandomHue {
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

    fn check(&self, channels: usize) -> Result<(), Detail> {
        self.factor.check("factor", 0.0, 1.0)?;
        self.value_range.check()?;
        require_colour(channels)
    }

    fn transform(&self, x: &[f32], images: Images, draws: &Draws, y: &mut [f32]) {
        let signs = draws.uniform(images.samples, (0.0, 1.0));
        let turns = draws.uniform(images.samples, self.factor.range(0.0));
        let range = self.value_range;
        each_sample(y, images.row(), 16, |sample, y| {
            let sign = if signs[sample] > 0.5 { -1.0 } else { 1.0 };
            let turn = sign * turns[sample] * 0.5;
            for (y, &x) in y.iter_mut().zip(&x[sample * images.row()..]) {
                *y = range.convert(x, UNIT);
            }
            for y in y.chunks_exact_mut(3) {
                let [mut hue, saturation, value] = hsv::from_rgb([y[0], y[1], y[2]]);
                hue += turn;
                if hue > 1.0 {
                    hue -= 1.0;
                }
                if hue < 0.0 {
                    hue += 1.0;
                }
                let back = |value| UNIT.convert(UNIT.clip(value), range);
                y.copy_from_slice(&hsv::to_rgb([hue, saturation, value]).map(back));
            }
        });
    }
}

impl FromSettings for RandomHue {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        Ok(RandomHue {
            factor: settings.factor("factor", 0.0)?,
            value_range: settings.value_range()?,
            common: Common::from_settings(settings)?,
        })
    }
}
