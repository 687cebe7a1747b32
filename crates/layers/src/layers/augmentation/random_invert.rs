//! Negatives at random.

use regraft_tensor::Detail;
use regraft_tensor::kernels::samples::each_sample;

use super::common::{BoxFormat, ValueRange, ranged};
use super::factor::{Factor, pair};
use super::transformation::{Draws, Images, Transformation, augmentation};
use crate::layers::spatial::DataFormat;

settings! {
    /// While it trains, `y = high − x` with a probability that is drawn evenly from `factor` for each image.
    ///
    /// | | |
    /// |---|---|
    /// | input, output | `(batch, rows, columns, channels)`, the same |
    /// | weights | none; frozen or in inference nothing changes |
    /// | defaults | `factor` 1, pixels from 0 to 255 |
    ///
    /// Keras: <https://keras.io/api/layers/preprocessing_layers/image_augmentation/random_invert/>.
    #[derive(Clone, Debug)]
    pub struct RandomInvert as "keras.layers.RandomInvert" {
        /// A layer that inverts an image with a probability up to `factor`, or from one to another.
        new(factor: Factor = 1.0)
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
        config["factor"] = pair(it.factor.range(0.0));
    }
}

augmentation!(RandomInvert);
ranged!(RandomInvert);

impl Transformation for RandomInvert {
    fn check(&self, _channels: usize) -> Result<(), Detail> {
        self.factor.check("factor", 0.0, 1.0)?;
        self.value_range.check()
    }

    fn transform(&self, x: &[f32], images: Images, draws: &Draws, y: &mut [f32]) {
        let chosen = draws.chances(images.samples, self.factor.range(0.0));
        let high = self.value_range.0[1];
        each_sample(y, images.row(), 1, |sample, y| {
            for (y, &x) in y.iter_mut().zip(&x[sample * images.row()..]) {
                *y = if chosen[sample] { high - x } else { x };
            }
        });
    }
}
