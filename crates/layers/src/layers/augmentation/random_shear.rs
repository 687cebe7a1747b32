//! Images slanted at random.

use regraft_tensor::Detail;
use serde_json::json;

use super::common::Common;
use super::factor::{Factor, pair};
use super::fill::{Fill, filling};
use super::transformation::{Draws, Images, Transformation, augmentation};
use crate::layers::object;
use crate::settings::{FromSettings, Map, Settings};

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
pub struct RandomShear {
    x_factor: Factor,
    y_factor: Factor,
    pub(crate) fill: Fill,
    pub(crate) common: Common,
}

impl RandomShear {
    /// A layer that slants by at most these factors, or from one to another: `(0.1, 0.2)`; each from 0 to
    /// 1.
    pub fn new(x_factor: impl Into<Factor>, y_factor: impl Into<Factor>) -> Self {
        RandomShear {
            x_factor: x_factor.into(),
            y_factor: y_factor.into(),
            fill: Fill::default(),
            common: Common::default(),
        }
    }
}

augmentation!(RandomShear);
filling!(RandomShear);

impl Transformation for RandomShear {
    fn common(&self) -> &Common {
        &self.common
    }

    fn settings(&self) -> Map {
        let mut config = object(json!({
            "x_factor": pair(self.x_factor.range(-1.0)),
            "y_factor": pair(self.y_factor.range(-1.0)),
            "seed": self.common.seed,
        }));
        self.fill.write(&mut config);
        config
    }

    fn check(&self, _channels: usize) -> Result<(), Detail> {
        // Keras takes numbers from 0 to 1, and writes (−f, f) for f.
        self.x_factor.check("x_factor", -1.0, 1.0)?;
        self.y_factor.check("y_factor", -1.0, 1.0)?;
        self.fill.check()
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
        self.fill.project(x, images, &maps, y);
    }
}

impl FromSettings for RandomShear {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        Ok(RandomShear {
            x_factor: settings.factor("x_factor", 0.0)?,
            y_factor: settings.factor("y_factor", 0.0)?,
            fill: Fill::from_settings(settings)?,
            common: Common::from_settings(settings)?,
        })
    }
}
