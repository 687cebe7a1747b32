//! Saturation changed at random.

use regraft_tensor::Detail;
use regraft_tensor::kernels::samples::each_sample;

use super::common::{BoxFormat, ValueRange, ranged, require_colour};
use super::factor::{Factor, pair};
use super::hsv;
use super::transformation::{Draws, Images, Transformation, augmentation};
use crate::layers::spatial::DataFormat;

settings! {
    /// While it trains, multiplies the saturation of each image by `f / (1 − f)`, with `f` drawn evenly from
    /// `factor`: 0 makes it gray, 0.5 changes nothing, 1 makes all colours pure. As in Keras, saturations are
    /// cut off at the range of the pixels.
    ///
    /// | | |
    /// |---|---|
    /// | input, output | `(batch, rows, columns, 3)`, the same |
    /// | weights | none; frozen or in inference nothing changes |
    /// | defaults | pixels from 0 to 255 |
    ///
    /// Keras: <https://keras.io/api/layers/preprocessing_layers/image_augmentation/random_saturation/>.
    #[derive(Clone, Debug)]
    pub struct RandomSaturation as "keras.layers.RandomSaturation" {
        /// A layer for this factor, from 0 to 1, or from one to another: `(0.4, 0.6)`. One number `f` means
        /// `(−f, f)`, as in Keras.
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

augmentation!(RandomSaturation);
ranged!(RandomSaturation);

/// Keras' epsilon.
const EPSILON: f32 = 1e-7;

impl Transformation for RandomSaturation {
    fn check(&self, channels: usize) -> Result<(), Detail> {
        self.factor.check("factor", -1.0, 1.0)?;
        self.value_range.check()?;
        require_colour(channels)
    }

    fn transform(&self, x: &[f32], images: Images, draws: &Draws, y: &mut [f32]) {
        let factors = draws.uniform(images.samples, self.factor.range(-1.0));
        each_sample(y, images.row(), 16, |sample, y| {
            let factor = factors[sample] / (1.0 - factors[sample] + EPSILON);
            let x = &x[sample * images.row()..][..images.row()];
            hsv::each_pixel(x, y, |[hue, saturation, value]| {
                [hue, self.value_range.clip(saturation * factor), value]
            });
        });
    }
}
