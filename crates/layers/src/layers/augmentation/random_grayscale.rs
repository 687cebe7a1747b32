//! Colour taken away at random.

use regraft_tensor::Detail;
use regraft_tensor::kernels::samples::each_sample;

use super::common::{BoxFormat, gray, require_gray_or_colour};
use super::transformation::{Draws, Images, Transformation, augmentation};
use crate::layers::spatial::DataFormat;
use crate::settings::require_share;

settings! {
    /// While it trains, makes each image gray with probability `factor`:
    /// `0.2989 red + 0.5870 green + 0.1140 blue` in all channels.
    ///
    /// | | |
    /// |---|---|
    /// | input, output | `(batch, rows, columns, 3 or 1)`, the same |
    /// | weights | none; frozen or in inference nothing changes |
    /// | defaults | a probability of one half |
    ///
    /// Keras: <https://keras.io/api/layers/preprocessing_layers/image_augmentation/random_grayscale/>.
    #[derive(Clone, Debug)]
    pub struct RandomGrayscale as "keras.layers.RandomGrayscale" {
        /// A layer that makes images gray with this probability.
        new(factor: f32 = 0.5)
        factor: f32 = factor,
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
        // Keras leaves it out.
        if it.seed.is_none() {
            config.shift_remove("seed");
        }
    }
}

augmentation!(RandomGrayscale);

impl Transformation for RandomGrayscale {
    fn check(&self, channels: usize) -> Result<(), Detail> {
        require_share("factor", self.factor)?;
        require_gray_or_colour(channels)
    }

    fn transform(&self, x: &[f32], images: Images, draws: &Draws, y: &mut [f32]) {
        let chances = draws.uniform(images.samples, (0.0, 1.0));
        let channels = images.channels;
        each_sample(y, images.row(), 2, |sample, y| {
            let x = &x[sample * images.row()..][..images.row()];
            if chances[sample] >= self.factor {
                return y.copy_from_slice(x);
            }
            let pixels = x.chunks_exact(channels).zip(y.chunks_exact_mut(channels));
            pixels.for_each(|(x, y)| y.fill(gray(x)));
        });
    }
}
