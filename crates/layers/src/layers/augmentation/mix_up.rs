//! Images mixed with others of their batch.

use regraft_tensor::Detail;
use regraft_tensor::kernels::samples::each_sample;

use super::common::BoxFormat;
use super::transformation::{Draws, Images, Transformation, augmentation};
use crate::layers::spatial::DataFormat;
use crate::settings::require;

settings! {
    /// While it trains, `y = w x + (1 − w) x'`, with another image `x'` of the batch and `w` of a beta distribution
    /// with both parameters `alpha`, for each image. Targets are not mixed (Keras mixes them only where images and
    /// labels go through the layer together, in a pipeline of data).
    ///
    /// | | |
    /// |---|---|
    /// | input, output | `(batch, rows, columns, channels)`, the same |
    /// | weights | none; frozen or in inference nothing changes |
    /// | defaults | `alpha` 0.2 |
    ///
    /// Keras: <https://keras.io/api/layers/preprocessing_layers/image_augmentation/mix_up/>.
    #[derive(Clone, Debug)]
    pub struct MixUp as "keras.layers.MixUp" {
        /// A layer that mixes: the smaller `alpha`, the more one of the two images prevails.
        new(alpha: f32 = 0.2)
        alpha: f32 = alpha,
        /// Draws from stream `seed` of the training's seed, instead of one chosen by the layer's
        /// position.
        seed: Option<u64> = None,
        data_format: DataFormat = DataFormat::ChannelsLast,
        bounding_box_format: BoxFormat = BoxFormat(None),
    }
    reading |settings, _it| {
        settings.ignore(&["rng_type"]);
    }
}

augmentation!(MixUp);

impl Transformation for MixUp {
    fn check(&self, _channels: usize) -> Result<(), Detail> {
        let fits = self.alpha.is_finite() && self.alpha > 0.0;
        require(fits, "alpha", "a positive number", self.alpha)
    }

    fn transform(&self, x: &[f32], images: Images, draws: &Draws, y: &mut [f32]) {
        let order = draws.permutation(images.samples);
        let weights = draws.beta(images.samples, f64::from(self.alpha));
        let row = images.row();
        each_sample(y, row, 2, |sample, y| {
            let weight = weights[sample];
            let pixels = x[sample * row..]
                .iter()
                .zip(&x[order[sample] as usize * row..]);
            for (y, (x, other)) in y.iter_mut().zip(pixels) {
                *y = weight * x + (1.0 - weight) * other;
            }
        });
    }
}
