//! Hue changed at random.

use regraft_tensor::Detail;
use regraft_tensor::kernels::samples::each_sample;

use super::common::{BoxFormat, ValueRange, ranged, require_colour};
use super::factor::{Factor, pair};
use super::hsv;
use super::transformation::{Draws, Images, Transformation, augmentation};
use crate::layers::spatial::DataFormat;

settings! {
    /// While it trains, turns the hue of each image by half of a number drawn evenly from `factor`, in a
    /// direction that is drawn too (1 is a full turn).
    ///
    /// | | |
    /// |---|---|
    /// | input, output | `(batch, rows, columns, 3)`, the same |
    /// | weights | none; frozen or in inference nothing changes |
    /// | defaults | pixels from 0 to 255 |
    ///
    /// Keras: <https://keras.io/api/layers/preprocessing_layers/image_augmentation/random_hue/>.
    #[derive(Clone, Debug)]
    pub struct RandomHue as "keras.layers.RandomHue" {
        /// A layer that turns by up to `factor`, from 0 to 1, or from one to another.
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
        config["factor"] = pair(it.factor.range(0.0));
    }
}

augmentation!(RandomHue);
ranged!(RandomHue);

/// Pixels as they are while the hue is turned.
const UNIT: ValueRange = ValueRange([0.0, 1.0]);

impl Transformation for RandomHue {
    fn check(&self, channels: usize) -> Result<(), Detail> {
        self.factor.check("factor", 0.0, 1.0)?;
        self.value_range.check()?;
        require_colour(channels)
    }

    fn transform(&self, x: &[f32], images: Images, draws: &Draws, y: &mut [f32]) {
        let signs = draws.uniform(images.samples, (0.0, 1.0));
        let turns = draws.uniform(images.samples, self.factor.range(0.0));
        let range = self.value_range;
        each_sample(y, images.row(), 16, |sample, y| {
            let sign = if signs[sample] > 0.5 { -1.0 } else { 1.0 };
            let turn = sign * turns[sample] * 0.5;
            for (y, &x) in y.iter_mut().zip(&x[sample * images.row()..]) {
                *y = range.convert(x, UNIT);
            }
            for y in y.chunks_exact_mut(3) {
                let [mut hue, saturation, value] = hsv::from_rgb([y[0], y[1], y[2]]);
                hue += turn;
                if hue > 1.0 {
                    hue -= 1.0;
                }
                if hue < 0.0 {
                    hue += 1.0;
                }
                let back = |value| UNIT.convert(UNIT.clip(value), range);
                y.copy_from_slice(&hsv::to_rgb([hue, saturation, value]).map(back));
            }
        });
    }
}
