//! Light pixels inverted at random.

use regraft_tensor::Detail;
use regraft_tensor::kernels::samples::each_sample;

use super::common::{BoxFormat, ValueRange, ranged};
use super::factor::{Factor, pair};
use super::transformation::{Draws, Images, Transformation, augmentation};
use crate::layers::spatial::DataFormat;

settings! {
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
    pub struct Solarization as "keras.layers.Solarization" {
        /// A layer with these factors: at most so much, or from one to another, each from 0 to 1.
        new(addition_factor: Factor = 0.0, threshold_factor: Factor = 0.0)
        value_range: ValueRange = ValueRange::BYTES,
        addition_factor: Factor = addition_factor,
        threshold_factor: Factor = threshold_factor,
        /// Draws from stream `seed` of the training's seed, instead of one chosen by the layer's
        /// position.
        seed: Option<u64> = None,
        data_format: DataFormat = DataFormat::ChannelsLast,
        bounding_box_format: BoxFormat = BoxFormat(None),
    }
    reading |settings, _it| {
        settings.ignore(&["rng_type"]);
    }
    writing |it, config| {
        config["addition_factor"] = pair(it.addition_factor.range(0.0));
        config["threshold_factor"] = pair(it.threshold_factor.range(0.0));
    }
}

augmentation!(Solarization);
ranged!(Solarization);

impl Transformation for Solarization {
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
