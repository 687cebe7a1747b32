//! Colour weakened at random.

use regraft_tensor::Detail;
use regraft_tensor::kernels::samples::each_sample;

use super::common::{BoxFormat, ValueRange, gray, ranged, require_gray_or_colour};
use super::factor::{Factor, pair};
use super::transformation::{Draws, Images, Transformation, augmentation};
use crate::layers::spatial::DataFormat;

settings! {
    /// While it trains, `y = x + f · (gray − x)` with `f` drawn evenly from `factor` for each image; then cut off
    /// at the range. With 0 nothing changes, with 1 the image is gray.
    ///
    /// | | |
    /// |---|---|
    /// | input, output | `(batch, rows, columns, 3 or 1)`, the same |
    /// | weights | none; frozen or in inference nothing changes |
    /// | defaults | pixels from 0 to 255 |
    ///
    /// Keras: <https://keras.io/api/layers/preprocessing_layers/image_augmentation/random_color_degeneration/>.
    #[derive(Clone, Debug)]
    pub struct RandomColorDegeneration as "keras.layers.RandomColorDegeneration" {
        /// A layer for this factor, or from one to another: `(0, 0.5)`; each from −1 to 1. One number `f`
        /// means `(−f, f)`, as in Keras.
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

augmentation!(RandomColorDegeneration);
ranged!(RandomColorDegeneration);

impl Transformation for RandomColorDegeneration {
    fn check(&self, channels: usize) -> Result<(), Detail> {
        self.factor.check("factor", -1.0, 1.0)?;
        self.value_range.check()?;
        require_gray_or_colour(channels)
    }

    fn transform(&self, x: &[f32], images: Images, draws: &Draws, y: &mut [f32]) {
        let factors = draws.uniform(images.samples, self.factor.range(-1.0));
        let channels = images.channels;
        each_sample(y, images.row(), 2, |sample, y| {
            let x = &x[sample * images.row()..][..images.row()];
            let pixels = x.chunks_exact(channels).zip(y.chunks_exact_mut(channels));
            for (x, y) in pixels {
                let gray = gray(x);
                for (y, &x) in y.iter_mut().zip(x) {
                    *y = self.value_range.clip(x + factors[sample] * (gray - x));
                }
            }
        });
    }
}
