//! Images moved at random.

use regraft_tensor::Detail;

use super::common::BoxFormat;
use super::factor::Factor;
use super::fill::{FillMode, filling};
use super::transformation::{Draws, Images, Transformation, augmentation};
use crate::layers::Interpolation;
use crate::layers::spatial::DataFormat;

settings! {
    /// While it trains, moves each image down by a share of its height and to the right by a share of its
    /// width, drawn evenly from the factors; negative is up and left.
    ///
    /// | | |
    /// |---|---|
    /// | input, output | `(batch, rows, columns, channels)`, the same |
    /// | weights | none; frozen or in inference nothing changes |
    /// | defaults | reflected outside, bilinear |
    ///
    /// Keras: <https://keras.io/api/layers/preprocessing_layers/image_augmentation/random_translation/>.
    #[derive(Clone, Debug)]
    pub struct RandomTranslation as "keras.layers.RandomTranslation" {
        /// A layer that moves by at most these shares in both directions, or from one share to another:
        /// `(0.1, 0.2)`; each from −1 to 1.
        new(height_factor: Factor = 0.0, width_factor: Factor = 0.0)
        height_factor: Factor = height_factor,
        width_factor: Factor = width_factor,
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

augmentation!(RandomTranslation);
filling!(RandomTranslation);

impl Transformation for RandomTranslation {
    fn check(&self, _channels: usize) -> Result<(), Detail> {
        self.height_factor.check("height_factor", -1.0, 1.0)?;
        self.width_factor.check("width_factor", -1.0, 1.0)?;
        self.fill().check()
    }

    fn transform(&self, x: &[f32], images: Images, draws: &Draws, y: &mut [f32]) {
        let shares = |factor: Factor| draws.uniform(images.samples, factor.range(-1.0));
        let (down, right) = (shares(self.height_factor), shares(self.width_factor));
        let (rows, columns) = (images.rows as f32, images.columns as f32);
        let moved = |(down, right): (f32, f32)| {
            [
                1.0,
                0.0,
                -(right * columns),
                0.0,
                1.0,
                -(down * rows),
                0.0,
                0.0,
            ]
        };
        let maps: Vec<_> = down.into_iter().zip(right).map(moved).collect();
        self.fill().project(x, images, &maps, y);
    }
}
