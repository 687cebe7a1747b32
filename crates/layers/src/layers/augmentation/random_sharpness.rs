//! Sharpness changed at random.

use regraft_tensor::Detail;
use regraft_tensor::kernels::samples::each_sample;

use super::common::{BoxFormat, ValueRange, ranged};
use super::factor::{Factor, pair};
use super::transformation::{Draws, Images, Transformation, augmentation};
use crate::layers::spatial::DataFormat;

settings! {
    /// While it trains, `y = x + (1 − 2 f) · (smooth − x)` with `f` drawn evenly from `factor` for each image; then
    /// cut off at the range. A smooth pixel is 5/13 of itself and 1/13 of each of its eight neighbours, zeros
    /// outside. With 0 the image becomes smooth, with 0.5 it stays, with 1 it becomes sharper.
    ///
    /// | | |
    /// |---|---|
    /// | input, output | `(batch, rows, columns, channels)`, the same |
    /// | weights | none; frozen or in inference nothing changes |
    /// | defaults | pixels from 0 to 255 |
    ///
    /// Keras: <https://keras.io/api/layers/preprocessing_layers/image_augmentation/random_sharpness/>.
    #[derive(Clone, Debug)]
    pub struct RandomSharpness as "keras.layers.RandomSharpness" {
        /// A layer for factors up to `factor`, or from one to another, each from 0 to 1.
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

augmentation!(RandomSharpness);
ranged!(RandomSharpness);

/// Each pixel a weighted sum of those around it, zeros outside: `weights` has as many rows and columns
/// as `size` says, both odd.
pub(super) fn weighted_sums(
    x: &[f32],
    [rows, columns, channels]: [usize; 3],
    weights: &[f32],
    size: [usize; 2],
    y: &mut [f32],
) {
    y.fill(0.0);
    let (up, left) = (size[0] / 2, size[1] / 2);
    for row in 0..rows {
        for column in 0..columns {
            let out = &mut y[(row * columns + column) * channels..][..channels];
            for (tap, &weight) in weights.iter().enumerate() {
                let (from_row, from_column) = (row + tap / size[1], column + tap % size[1]);
                let inside = (up..rows + up).contains(&from_row)
                    && (left..columns + left).contains(&from_column);
                if inside {
                    let place = (from_row - up) * columns + from_column - left;
                    let from = &x[place * channels..][..channels];
                    for (out, &from) in out.iter_mut().zip(from) {
                        *out += weight * from;
                    }
                }
            }
        }
    }
}

impl Transformation for RandomSharpness {
    fn check(&self, _channels: usize) -> Result<(), Detail> {
        self.factor.check("factor", 0.0, 1.0)?;
        self.value_range.check()
    }

    fn transform(&self, x: &[f32], images: Images, draws: &Draws, y: &mut [f32]) {
        let factors = draws.uniform(images.samples, self.factor.range(0.0));
        let mut weights = [1.0 / 13.0; 9];
        weights[4] = 5.0 / 13.0;
        each_sample(y, images.row(), 20, |sample, y| {
            let x = &x[sample * images.row()..][..images.row()];
            weighted_sums(x, images.size(), &weights, [3, 3], y);
            let share = 1.0 - factors[sample] * 2.0;
            for (y, &x) in y.iter_mut().zip(x) {
                *y = self.value_range.clip(x + share * (*y - x));
            }
        });
    }
}
