//! Images moved at random.

use regraft_tensor::Detail;
use serde_json::json;

use super::common::Common;
use super::factor::Factor;
use super::fill::{Fill, filling};
use super::transformation::{Draws, Images, Transformation, augmentation};
use crate::layers::object;
use crate::settings::{FromSettings, Map, Settings};

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
pub struct RandomTranslation {
    height_factor: Factor,
    width_factor: Factor,
    pub(crate) fill: Fill,
    pub(crate) common: Common,
}

impl RandomTranslation {
    /// A layer that moves by at most these shares in both directions, or from one share to another:
    /// `(0.1, 0.2)`; each from −1 to 1.
    pub fn new(height_factor: impl Into<Factor>, width_factor: impl Into<Factor>) -> Self {
        RandomTranslation {
            height_factor: height_factor.into(),
            width_factor: width_factor.into(),
            fill: Fill::default(),
            common: Common::default(),
        }
    }
}

augmentation!(RandomTranslation);
filling!(RandomTranslation);

impl Transformation for RandomTranslation {
    fn common(&self) -> &Common {
        &self.common
    }

    fn settings(&self) -> Map {
        let mut config = object(json!({
            "height_factor": self.height_factor.serialize(),
            "width_factor": self.width_factor.serialize(),
            "seed": self.common.seed,
        }));
        self.fill.write(&mut config);
        config
    }

    fn check(&self, _channels: usize) -> Result<(), Detail> {
        self.height_factor.check("height_factor", -1.0, 1.0)?;
        self.width_factor.check("width_factor", -1.0, 1.0)?;
        self.fill.check()
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
        self.fill.project(x, images, &maps, y);
    }
}

impl FromSettings for RandomTranslation {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        Ok(RandomTranslation {
            height_factor: settings.factor("height_factor", 0.0)?,
            width_factor: settings.factor("width_factor", 0.0)?,
            fill: Fill::from_settings(settings)?,
            common: Common::from_settings(settings)?,
        })
    }
}
