//! Images made larger or smaller at random.

use regraft_tensor::Detail;

use super::common::BoxFormat;
use super::factor::Factor;
use super::fill::{FillMode, filling};
use super::transformation::{Draws, Images, Transformation, augmentation};
use crate::layers::Interpolation;
use crate::layers::spatial::DataFormat;

settings! {
    /// While it trains, shows of each image `1 + f` times as many rows and columns around its middle, with `f`
    /// drawn evenly from the factors: 0.2 shows a fifth more (so that things become smaller), −0.2 a
    /// fifth less.
    ///
    /// | | |
    /// |---|---|
    /// | input, output | `(batch, rows, columns, channels)`, the same |
    /// | weights | none; frozen or in inference nothing changes |
    /// | defaults | columns as rows, reflected outside, bilinear |
    ///
    /// Keras: <https://keras.io/api/layers/preprocessing_layers/image_augmentation/random_zoom/>.
    #[derive(Clone, Debug)]
    pub struct RandomZoom as "keras.layers.RandomZoom" {
        /// A layer that zooms by at most `height_factor` in both directions, or from one share to
        /// another: `(−0.2, −0.1)`; each above −1 and up to 1. The columns go with the rows.
        new(height_factor: Factor = 0.0)
        height_factor: Factor = height_factor,
        /// Zooms the columns by a share of their own.
        width_factor: Option<Factor> = None,
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
}

augmentation!(RandomZoom);
filling!(RandomZoom);

/// The smallest factor: at −1 nothing would be shown.
const LEAST: f32 = -1.0 + f32::EPSILON / 2.0;

impl Transformation for RandomZoom {
    fn check(&self, _channels: usize) -> Result<(), Detail> {
        self.height_factor.check("height_factor", LEAST, 1.0)?;
        if let Some(factor) = self.width_factor {
            factor.check("width_factor", LEAST, 1.0)?;
        }
        self.fill().check()
    }

    fn transform(&self, x: &[f32], images: Images, draws: &Draws, y: &mut [f32]) {
        let shares = |factor: Factor| {
            let (low, high) = factor.range(-1.0);
            draws.uniform(images.samples, (1.0 + low, 1.0 + high))
        };
        let heights = shares(self.height_factor);
        let widths = self.width_factor.map_or_else(|| heights.clone(), shares);
        let [last_row, last_column] = [images.rows, images.columns].map(|size| size as f32 - 1.0);
        let around = |(height, width): (f32, f32)| {
            let right = last_column / 2.0 * (1.0 - width);
            let down = last_row / 2.0 * (1.0 - height);
            [width, 0.0, right, 0.0, height, down, 0.0, 0.0]
        };
        let maps: Vec<_> = heights.into_iter().zip(widths).map(around).collect();
        self.fill().project(x, images, &maps, y);
    }
}
