//! The whole range of pixels used by every channel of every image.

use regraft_tensor::Detail;
use regraft_tensor::kernels::samples::each_sample;
use serde_json::json;

use super::common::{Common, ValueRange};
use super::transformation::{Draws, Images, Transformation, augmentation};
use crate::layers::object;
use crate::settings::{FromSettings, Map, Settings, require};

/// Moves and stretches each channel of each image so that its smallest and its largest value are those of
/// the range; a channel of one value stays.
///
/// | | |
/// |---|---|
/// | input, output | `(batch, rows, columns, channels)`, the same |
/// | weights | none; **in inference and frozen it does the same as in training** |
/// | defaults | pixels from 0 to 255 |
///
/// Keras: <https://keras.io/api/layers/preprocessing_layers/image_augmentation/auto_contrast/>.
#[derive(Clone, Debug)]
pub struct AutoContrast {
    value_range: ValueRange,
    common: Common,
}

impl Default for AutoContrast {
    fn default() -> Self {
        AutoContrast {
            value_range: ValueRange::BYTES,
            common: Common::default(),
        }
    }
}

impl AutoContrast {
    /// A layer for pixels from 0 to 255.
    pub fn new() -> Self {
        Self::default()
    }

    /// The least and the largest value of pixels; 0 and 255 unless told otherwise.
    #[must_use]
    pub fn value_range(mut self, low: f32, high: f32) -> Self {
        self.value_range = ValueRange([low, high]);
        self
    }
}

augmentation!(AutoContrast, |call| true);

impl Transformation for AutoContrast {
    fn common(&self) -> &Common {
        &self.common
    }

    fn settings(&self) -> Map {
        object(json!({ "value_range": self.value_range.serialize() }))
    }

    fn check(&self, _channels: usize) -> Result<(), Detail> {
        // Keras looks for the extremes along the wrong axes there.
        let last = !self.common.channels_first;
        require(last, "data_format", "\"channels_last\"", "channels_first")?;
        self.value_range.check()
    }

    fn is_deterministic(&self) -> bool {
        true
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }

    fn transform(&self, x: &[f32], images: Images, _draws: &Draws, y: &mut [f32]) {
        let (bytes, range) = (ValueRange::BYTES, self.value_range);
        let channels = images.channels;
        each_sample(y, images.row(), 4, |sample, y| {
            let x = &x[sample * images.row()..][..images.row()];
            for channel in 0..channels {
                let values = || x.iter().skip(channel).step_by(channels);
                let levels = || values().map(|&x| range.convert(x, bytes));
                let low = levels().fold(f32::INFINITY, f32::min);
                let high = levels().fold(f32::NEG_INFINITY, f32::max);
                let scale = 255.0 / (high - low);
                let offset = -low * scale;
                let out = y.iter_mut().skip(channel).step_by(channels);
                for (y, &x) in out.zip(values()) {
                    *y = match high > low {
                        true => {
                            let level = range.convert(x, bytes) * scale + offset;
                            bytes.convert(bytes.clip(level), range)
                        }
                        false => x,
                    };
                }
            }
        });
    }
}

impl FromSettings for AutoContrast {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        Ok(AutoContrast {
            value_range: settings.value_range()?,
            common: Common::from_settings(settings)?,
        })
    }
}
