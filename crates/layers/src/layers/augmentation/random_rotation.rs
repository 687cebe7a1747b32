//! Images turned at random.

use regraft_tensor::Detail;
use serde_json::json;

use super::common::Common;
use super::factor::{Factor, pair};
use super::fill::{Fill, filling};
use super::transformation::{Draws, Images, Transformation, augmentation};
use crate::layers::object;
use crate::settings::{FromSettings, Map, Settings};

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
pub struct RandomRotation {
    factor: Factor,
    pub(crate) fill: Fill,
    pub(crate) common: Common,
}

impl RandomRotation {
    /// A layer that turns by at most `factor` of a full turn in both directions, or from one share to
    /// another: `(0.1, 0.2)`; each from −1 to 1.
    pub fn new(factor: impl Into<Factor>) -> Self {
        RandomRotation {
            factor: factor.into(),
            fill: Fill::default(),
            common: Common::default(),
        }
    }
}

augmentation!(RandomRotation);
filling!(RandomRotation);

impl Transformation for RandomRotation {
    fn common(&self) -> &Common {
        &self.common
    }

    fn settings(&self) -> Map {
        let mut config = object(json!({
            "factor": pair(self.factor.range(-1.0)),
            "seed": self.common.seed,
        }));
        self.fill.write(&mut config);
        config
    }

    fn check(&self, _channels: usize) -> Result<(), Detail> {
        self.factor.check("factor", -1.0, 1.0)?;
        self.fill.check()
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
        self.fill.project(x, images, &maps, y);
    }
}

impl FromSettings for RandomRotation {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        Ok(RandomRotation {
            factor: settings.factor("factor", 0.0)?,
            fill: Fill::from_settings(settings)?,
            common: Common::from_settings(settings)?,
        })
    }
}
