//! Contrast changed at random.

use regraft_tensor::Detail;
use regraft_tensor::kernels::samples::each_sample;

use super::common::{BoxFormat, ValueRange, ranged};
use super::factor::{Factor, pair};
use super::transformation::{Draws, Images, Transformation, augmentation};
use crate::layers::spatial::DataFormat;

settings! {
    /// While it trains, `y = (x − mean) · f + mean`, with the mean of each channel of an image and `f` drawn
    /// evenly from `1 − lower` to `1 + upper` for each image; then cut off at the range.
    ///
    /// | | |
    /// |---|---|
    /// | input, output | `(batch, rows, columns, channels)`, the same |
    /// | weights | none; frozen or in inference nothing changes |
    /// | defaults | pixels from 0 to 255 |
    ///
    /// Keras: <https://keras.io/api/layers/preprocessing_layers/image_augmentation/random_contrast/>.
    #[derive(Clone, Debug)]
    pub struct RandomContrast as "keras.layers.RandomContrast" {
        /// A layer that takes away or adds up to `factor` of the contrast; with two numbers, up to `lower` and
        /// up to `upper`. One number `f` means `(0, f)`, as in Keras: contrast is only added.
        new(factor: Factor = 0.0)
        factor: Factor = factor,
        value_range: ValueRange = ValueRange::BYTES,
        /// Draws from stream `seed` of the training's seed, instead of one chosen by the layer's
        /// position.
        seed: Option<u64> = None,
        data_format: DataFormat = DataFormat::ChannelsLast,
        bounding_box_format: BoxFormat = BoxFormat(None),
    }
    reading |settings, it| {
        // Keras 2 means (f, f) by f.
        if let (Some(_), Factor::Within(both)) = (settings.value("rng_type"), it.factor) {
            it.factor = Factor::Between(both, both);
        }
    }
    writing |it, config| {
        config["factor"] = pair(it.factor.range(0.0));
    }
}

augmentation!(RandomContrast);
ranged!(RandomContrast);

impl Transformation for RandomContrast {
    fn check(&self, _channels: usize) -> Result<(), Detail> {
        // Of two numbers Keras takes some that are not between 0 and 1.
        self.factor.check("factor", -1.0, 1.0)?;
        self.value_range.check()
    }

    fn transform(&self, x: &[f32], images: Images, draws: &Draws, y: &mut [f32]) {
        let (lower, upper) = self.factor.range(0.0);
        let factors = draws.uniform(images.samples, (1.0 - lower, 1.0 + upper));
        let channels = images.channels;
        each_sample(y, images.row(), 4, |sample, y| {
            let x = &x[sample * images.row()..][..images.row()];
            let mut means = vec![0.0_f64; channels];
            for pixel in x.chunks_exact(channels) {
                for (sum, &value) in means.iter_mut().zip(pixel) {
                    *sum += f64::from(value);
                }
            }
            let count = (images.rows * images.columns) as f64;
            let means: Vec<f32> = means.into_iter().map(|sum| (sum / count) as f32).collect();
            let pixels = x.chunks_exact(channels).zip(y.chunks_exact_mut(channels));
            for (x, y) in pixels {
                for ((y, &x), &mean) in y.iter_mut().zip(x).zip(&means) {
                    *y = self.value_range.clip((x - mean) * factors[sample] + mean);
                }
            }
        });
    }
}
