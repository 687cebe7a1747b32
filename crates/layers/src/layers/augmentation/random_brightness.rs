//! Brightness changed at random.

use regraft_tensor::Detail;
use regraft_tensor::kernels::samples::each_sample;

use super::common::{BoxFormat, ValueRange, ranged};
use super::factor::{Factor, pair};
use super::transformation::{Draws, Images, Transformation, augmentation};
use crate::layers::spatial::DataFormat;

settings! {
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
    pub struct RandomBrightness as "keras.layers.RandomBrightness" {
        /// A layer that makes images brighter or darker by at most `factor` of the range, or from one share
        /// to another: `(−0.3, 0.1)`; each from −1 to 1.
        new(factor: Factor = 0.0)
        factor: Factor = factor,
        value_range: ValueRange = ValueRange::BYTES,
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
        config["factor"] = pair(it.factor.range(-1.0));
    }
}

augmentation!(RandomBrightness);
ranged!(RandomBrightness);

impl Transformation for RandomBrightness {
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
