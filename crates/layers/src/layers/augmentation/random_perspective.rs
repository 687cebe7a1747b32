//! Images seen at an angle at random.

use regraft_tensor::Detail;
use regraft_tensor::kernels::projective::Projection;

use super::common::BoxFormat;
use super::factor::{Factor, pair};
use super::fill::{Fill, FillMode, check_interpolation};
use super::transformation::{Draws, Images, Transformation, augmentation};
use crate::layers::Interpolation;
use crate::layers::spatial::DataFormat;
use crate::settings::{require_finite, require_share};

settings! {
    /// While it trains, moves the corners of an image, with a probability that is drawn evenly from
    /// `factor` for each: each coordinate of a corner is multiplied by a number from `1 − scale / 2` to
    /// `1 + scale / 2`, so that the one at the origin stays.
    ///
    /// | | |
    /// |---|---|
    /// | input, output | `(batch, rows, columns, channels)`, the same |
    /// | weights | none; frozen or in inference nothing changes |
    /// | defaults | `factor` and `scale` 1, bilinear, zeros outside |
    ///
    /// Keras: <https://keras.io/api/layers/preprocessing_layers/image_augmentation/random_perspective/>.
    #[derive(Clone, Debug)]
    pub struct RandomPerspective as "keras.layers.RandomPerspective" {
        /// A layer that changes an image with a probability up to `factor`, or from one to another.
        new(factor: Factor = 1.0)
        factor: Factor = factor,
        /// How far the corners move, from 0 to 1; 1 unless told otherwise.
        scale: f32 = 1.0,
        /// How values between pixels are found: `"bilinear"` unless told otherwise, or `"nearest"`.
        interpolation: Interpolation = Interpolation::Bilinear,
        /// What is seen outside; 0 unless told otherwise.
        fill_value: f32 = 0.0,
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

augmentation!(RandomPerspective);

/// The map that takes the four points `to` to the points `from`.
pub(super) fn homography(from: [[f64; 2]; 4], to: [[f64; 2]; 4]) -> Projection {
    // a · coefficients = b, two rows for each point.
    let mut rows = [[0.0_f64; 9]; 8];
    for (point, ([x, y], [u, v])) in from.into_iter().zip(to).enumerate() {
        rows[2 * point] = [u, v, 1.0, 0.0, 0.0, 0.0, -x * u, -x * v, x];
        rows[2 * point + 1] = [0.0, 0.0, 0.0, u, v, 1.0, -y * u, -y * v, y];
    }
    // Gauss and Jordan, with the largest element of the column as pivot.
    for column in 0..8 {
        let largest = (column..8).max_by(|&a, &b| {
            let size = |row: usize| rows[row][column].abs();
            size(a).total_cmp(&size(b))
        });
        rows.swap(column, largest.unwrap_or(column));
        let pivot = rows[column];
        for (row, values) in rows.iter_mut().enumerate() {
            if row != column && pivot[column] != 0.0 {
                let share = values[column] / pivot[column];
                for (value, of_pivot) in values.iter_mut().zip(pivot) {
                    *value -= share * of_pivot;
                }
            }
        }
    }
    std::array::from_fn(|row| (rows[row][8] / rows[row][row]) as f32)
}

impl Transformation for RandomPerspective {
    fn check(&self, _channels: usize) -> Result<(), Detail> {
        self.factor.check("factor", 0.0, 1.0)?;
        require_share("scale", self.scale)?;
        require_finite("fill_value", self.fill_value)?;
        check_interpolation(&self.interpolation)
    }

    fn transform(&self, x: &[f32], images: Images, draws: &Draws, y: &mut [f32]) {
        let chosen = draws.chances(images.samples, self.factor.range(0.0));
        let half = 0.5 * self.scale;
        let shifts = draws.uniform(8 * images.samples, (-half, half));
        let [right, bottom] = [images.columns, images.rows].map(|size| size as f64 - 1.0);
        let corners = [[0.0, 0.0], [right, 0.0], [0.0, bottom], [right, bottom]];
        let map = |sample: usize| {
            let shifts = &shifts[8 * sample..][..8];
            let moved = std::array::from_fn(|corner| {
                std::array::from_fn(|axis| {
                    let place = corners[corner][axis];
                    place + place * f64::from(shifts[2 * corner + axis])
                })
            });
            match chosen[sample] {
                true => homography(corners, moved),
                false => [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0],
            }
        };
        let maps: Vec<_> = (0..images.samples).map(map).collect();
        let fill = Fill {
            mode: FillMode::Constant,
            value: self.fill_value,
            interpolation: self.interpolation.clone(),
        };
        fill.project(x, images, &maps, y);
    }
}
