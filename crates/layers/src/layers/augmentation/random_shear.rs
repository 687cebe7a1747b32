//! Images slanted at random.

use regraft_tensor::Detail;

use super::common::BoxFormat;
use super::factor::{Factor, pair};
use super::fill::{FillMode, filling};
use super::transformation::{Draws, Images, Transformation, augmentation};
use crate::layers::Interpolation;
use crate::layers::spatial::DataFormat;

settings! {
    /// While it trains, slants each image: column `x` and row `y` show what was at `x + s_x y` and
    /// `y + s_y x`, with `s_x` and `s_y` drawn evenly from the factors, and, with probability one half, both
    /// with the other sign.
    ///
    /// | | |
    /// |---|---|
    /// | input, output | `(batch, rows, columns, channels)`, the same |
    /// | weights | none; frozen or in inference nothing changes |
    /// | defaults | reflected outside, bilinear |
    ///
    /// Keras: <https://keras.io/api/layers/preprocessing_layers/image_augmentation/random_shear/>.
    #[derive(Clone, Debug)]
    pub struct RandomShear as "keras.layers.RandomShear" {
        /// A layer that slants by at most these factors, or from one to another: `(0.1, 0.2)`; each from 0 to
        /// 1.
        new(x_factor: Factor = 0.0, y_factor: Factor = 0.0)
        x_factor: Factor = x_factor,
        y_factor: Factor = y_factor,
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
        config["x_factor"] = pair(it.x_factor.range(-1.0));
        config["y_factor"] = pair(it.y_factor.range(-1.0));
    }
}

augmentation!(RandomShear);
filling!(RandomShear);

impl Transformation for RandomShear {
    fn check(&self, _channels: usize) -> Result<(), Detail> {
        // Keras takes numbers from 0 to 1, and writes (−f, f) for f.
        self.x_factor.check("x_factor", -1.0, 1.0)?;
        self.y_factor.check("y_factor", -1.0, 1.0)?;
        self.fill().check()
    }

    fn transform(&self, x: &[f32], images: Images, draws: &Draws, y: &mut [f32]) {
        let signs = draws.uniform(images.samples, (0.0, 1.0));
        let factors = |factor: Factor| draws.uniform(images.samples, factor.range(-1.0));
        let (across, down) = (factors(self.x_factor), factors(self.y_factor));
        let slanted = |sample: usize| {
            let sign = if signs[sample] > 0.5 { -1.0 } else { 1.0 };
            let (across, down) = (sign * across[sample], sign * down[sample]);
            [1.0, across, 0.0, down, 1.0, 0.0, 0.0, 0.0]
        };
        let maps: Vec<_> = (0..images.samples).map(slanted).collect();
        self.fill().project(x, images, &maps, y);
    }
}
