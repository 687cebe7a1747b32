//! The whole range of pixels used by every channel of every image.

use regraft_tensor::Detail;
use regraft_tensor::kernels::samples::each_sample;

use super::common::{BoxFormat, ValueRange, ranged};
use super::transformation::{Draws, Images, Transformation, augmentation};
use crate::layers::spatial::DataFormat;
use crate::settings::require;

settings! {
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
    pub struct AutoContrast as "keras.layers.AutoContrast" {
        /// A layer for pixels from 0 to 255.
        new()
        value_range: ValueRange = ValueRange::BYTES,
        data_format: DataFormat = DataFormat::ChannelsLast,
        bounding_box_format: BoxFormat = BoxFormat(None),
        seed: Option<u64> = None,
    }
    reading |settings, _it| {
        settings.ignore(&["rng_type"]);
    }
    writing |_it, config| {
        config.shift_remove("seed");
    }
}

augmentation!(AutoContrast, |call| true);
ranged!(AutoContrast);

impl Transformation for AutoContrast {
    fn check(&self, _channels: usize) -> Result<(), Detail> {
        // Keras looks for the extremes along the wrong axes there.
        let last = !self.data_format.is_channels_first();
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
