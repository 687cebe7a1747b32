//! All levels of brightness used equally often.

use regraft_tensor::Detail;

use super::common::{BoxFormat, ValueRange, ranged};
use super::transformation::{Draws, Images, Transformation, augmentation};
use crate::layers::spatial::DataFormat;
use crate::settings::require;

settings! {
    /// While it trains, gives each pixel the level that goes with the share of darker pixels in its channel, over
    /// all images of the batch (as Keras does).
    ///
    /// | | |
    /// |---|---|
    /// | input, output | `(batch, rows, columns, channels)`, the same |
    /// | weights | none; frozen or in inference nothing changes |
    /// | defaults | 256 levels, pixels from 0 to 255 |
    ///
    /// Keras: <https://keras.io/api/layers/preprocessing_layers/image_augmentation/equalization/>.
    #[derive(Clone, Debug)]
    pub struct Equalization as "keras.layers.Equalization" {
        /// A layer for pixels from 0 to 255 and 256 levels.
        new()
        /// The number of levels.
        bins: usize = 256,
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

augmentation!(Equalization, |call| call.training());
ranged!(Equalization);

impl Transformation for Equalization {
    fn check(&self, _channels: usize) -> Result<(), Detail> {
        let fits = (1..=1 << 16).contains(&self.bins);
        require(fits, "bins", "a number from 1 to 65536", self.bins)?;
        self.value_range.check()
    }

    fn is_deterministic(&self) -> bool {
        true
    }

    fn transform(&self, x: &[f32], images: Images, _draws: &Draws, y: &mut [f32]) {
        let (bytes, range) = (ValueRange::BYTES, self.value_range);
        let (channels, last) = (images.channels, self.bins as f32 - 1.0);
        for channel in 0..channels {
            let levels = || {
                let values = x.iter().skip(channel).step_by(channels);
                values.map(|&x| range.convert(x, bytes))
            };
            let mut counts = vec![0_u64; self.bins];
            for level in levels() {
                counts[(level * last / 255.0).clamp(0.0, last) as usize] += 1;
            }
            let used = counts.iter().filter(|count| **count > 0).count();
            let darker: Vec<u64> = counts
                .iter()
                .scan(0, |sum, count| {
                    *sum += count;
                    Some(*sum)
                })
                .collect();
            let least = darker.iter().copied().find(|sum| *sum > 0).unwrap_or(0);
            let rest = darker.last().map_or(1, |all| (all - least).max(1));
            let table: Vec<f32> = darker
                .iter()
                .map(|sum| {
                    let level = (sum.saturating_sub(least) * 255) as f64 / rest as f64;
                    level.round_ties_even().clamp(0.0, 255.0) as f32
                })
                .collect();
            let out = y.iter_mut().skip(channel).step_by(channels);
            for (y, level) in out.zip(levels()) {
                let equal = match used > 1 {
                    true => table[(level / 255.0 * last).clamp(0.0, last) as usize],
                    false => level,
                };
                *y = bytes.convert(equal, range);
            }
        }
    }
}
