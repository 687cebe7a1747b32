//! Light pixels inverted at random.

use regraft_tensor::Detail;
use regraft_tensor::kernels::samples::each_sample;
use serde_json::json;

use super::common::{Common, ValueRange};
use super::factor::{Factor, pair};
use super::transformation::{Draws, Images, Transformation, augmentation};
use crate::layers::object;
use crate::settings::{FromSettings, Map, Settings};

/// While it trains, with pixels from 0 to 255: `z = x + a`, cut off at 0 and 255, then `y = z` below `t` and
/// `255 − z` otherwise. For each image `a` is drawn evenly from `l` to `255 u` for an `addition_factor`
/// `(l, u)`, and `t` so from the `threshold_factor`.
///
/// | | |
/// |---|---|
/// | input, output | `(batch, rows, columns, channels)`, the same |
/// | weights | none; frozen or in inference nothing changes |
/// | defaults | both factors 0, pixels from 0 to 255 |
///
/// Keras: <https://keras.io/api/layers/preprocessing_layers/image_augmentation/solarization/>.
#[derive(Clone, Debug)]
pub struct Solarization {
    addition_factor: Factor,
    threshold_factor: Factor,
    value_range: ValueRange,
    common: Common,
}

impl Solarization {
    /// A layer with these factors: at most so much, or from one to another, each from 0 to 1.
    pub fn new(addition_factor: impl Into<Factor>, threshold_factor: impl Into<Factor>) -> Self {
        Solarization {
            addition_factor: addition_factor.into(),
            threshold_factor: threshold_factor.into(),
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

augmentation!(Solarization);

impl Transformation for Solarization {
    fn common(&self) -> &Common {
        &self.common
    }

    fn settings(&self) -> Map {
        object(json!({
            "value_range": self.value_range.serialize(),
            "addition_factor": pair(self.addition_factor.range(0.0)),
            "threshold_factor": pair(self.threshold_factor.range(0.0)),
            "seed": self.common.seed,
        }))
    }

    fn check(&self, _channels: usize) -> Result<(), Detail> {
        self.addition_factor.check("addition_factor", 0.0, 1.0)?;
        self.threshold_factor.check("threshold_factor", 0.0, 1.0)?;
        self.value_range.check()
    }

    fn transform(&self, x: &[f32], images: Images, draws: &Draws, y: &mut [f32]) {
        let levels = |factor: Factor| {
            let (low, high) = factor.range(0.0);
            draws.uniform(images.samples, (low, high * 255.0))
        };
        let additions = levels(self.addition_factor);
        let thresholds = levels(self.threshold_factor);
        let (bytes, range) = (ValueRange::BYTES, self.value_range);
        each_sample(y, images.row(), 2, |sample, y| {
            for (y, &x) in y.iter_mut().zip(&x[sample * images.row()..]) {
                let lighter = bytes.clip(range.convert(x, bytes) + additions[sample]);
                let level = match lighter < thresholds[sample] {
                    true => lighter,
                    false => 255.0 - lighter,
                };
                *y = bytes.convert(level, range);
            }
        });
    }
}

impl FromSettings for Solarization {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        Ok(Solarization {
            addition_factor: settings.factor("addition_factor", 0.0)?,
            threshold_factor: settings.factor("threshold_factor", 0.0)?,
            value_range: settings.value_range()?,
            common: Common::from_settings(settings)?,
        })
    }
}
