//! Bits of colour taken away at random.

use regraft_tensor::Detail;
use regraft_tensor::kernels::samples::each_sample;
use serde_json::json;

use super::common::{BoxFormat, ValueRange, ranged};
use super::factor::Factor;
use super::transformation::{Draws, Images, Transformation, augmentation};
use crate::layers::spatial::DataFormat;

settings! {
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
    pub struct RandomPosterization as "keras.layers.RandomPosterization" {
        /// A layer that keeps less than `factor` bits and at least one, or from one number to another, each
        /// from 1 to 8.
        new(factor: Factor = 8.0)
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
        // Keras takes nothing else than whole numbers.
        let (low, high) = it.factor.range(1.0);
        config["factor"] = json!([low as u32, high as u32]);
    }
}

augmentation!(RandomPosterization);
ranged!(RandomPosterization);

impl Transformation for RandomPosterization {
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
