//! Images turned at random.

use regraft_tensor::Detail;

use super::common::BoxFormat;
use super::factor::{Factor, pair};
use super::fill::{FillMode, filling};
use super::transformation::{Draws, Images, Transformation, augmentation};
use crate::layers::Interpolation;
use crate::layers::spatial::DataFormat;

settings! {
    /// While it trains, turns each image around its middle by a share of a full turn that is drawn evenly
    /// from `factor`; positive is counter-clockwise.
    ///
    /// | | |
    /// |---|---|
    /// | input, output | `(batch, rows, columns, channels)`, the same |
    /// | weights | none; frozen or in inference nothing changes |
    /// | defaults | reflected outside, bilinear |
    ///
    /// Keras: <https://keras.io/api/layers/preprocessing_layers/image_augmentation/random_rotation/>.
    #[derive(Clone, Debug)]
    pub struct RandomRotation as "keras.layers.RandomRotation" {
        /// A layer that turns by at most `factor` of a full turn in both directions, or from one share to
        /// another: `(0.1, 0.2)`; each from −1 to 1.
        new(factor: Factor = 0.0)
        factor: Factor = factor,
        /// Draws from stream `seed` of the training's seed, instead of one chosen by the layer's
        /// position.
        seed: Option<u64> = None,
        /// What is seen where there is no image: `"reflect"` unless told otherwise.
        fill_mode: FillMode = FillMode::Reflect,
        /// The number that is seen there with `"constant"`; 0 unless told otherwise.
        fill_value: f32 = 0.0,
        /// How values between pixels are found: `"bilinear"` unless told otherwise, or `"nearest"`.
        interpolation: Interpolation = Interpolation::Bilinear,
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

augmentation!(RandomRotation);
filling!(RandomRotation);

impl Transformation for RandomRotation {
    fn check(&self, _channels: usize) -> Result<(), Detail> {
        self.factor.check("factor", -1.0, 1.0)?;
        self.fill().check()
    }

    fn transform(&self, x: &[f32], images: Images, draws: &Draws, y: &mut [f32]) {
        let (low, high) = self.factor.range(-1.0);
        let degrees = draws.uniform(images.samples, (low * 360.0, high * 360.0));
        let [last_row, last_column] = [images.rows, images.columns].map(|size| size as f32 - 1.0);
        let (cx, cy) = (0.5 * last_column, 0.5 * last_row);
        let around = |degrees: f32| {
            let (sin, cos) = (degrees * (std::f32::consts::PI / 180.0)).sin_cos();
            let right = cx - cx * cos + cy * sin;
            let down = cy - cx * sin - cy * cos;
            [cos, -sin, right, sin, cos, down, 0.0, 0.0]
        };
        let maps: Vec<_> = degrees.into_iter().map(around).collect();
        self.fill().project(x, images, &maps, y);
    }
}
