//! Colour taken away at random.

use regraft_tensor::Detail;
use regraft_tensor::kernels::samples::each_sample;
use serde_json::json;

use super::common::{Common, gray, require_gray_or_colour};
use super::transformation::{Draws, Images, Transformation, augmentation};
use crate::layers::object;
use crate::settings::{FromSettings, Map, Settings, number, require_share};

/// While it trains, makes each image gray with probability `factor`:
/// `0.2989 red + 0.5870 green + 0.1140 blue` in all channels.
///
/// | | |
/// |---|---|
/// | input, output | `(batch, rows, columns, 3 or 1)`, the same |
/// | weights | none; frozen or in inference nothing changes |
/// | defaults | a probability of one half |
///
/// Keras: <https://keras.io/api/layers/preprocessing_layers/image_augmentation/random_grayscale/>.
#[derive(Clone, Debug)]
pub struct RandomGrayscale {
    factor: f32,
    common: Common,
}

impl RandomGrayscale {
    /// A layer that makes images gray with this probability.
    pub fn new(factor: f32) -> Self {
        RandomGrayscale {
            factor,
            common: Common::default(),
        }
    }
}

augmentation!(RandomGrayscale);

impl Transformation for RandomGrayscale {
    fn common(&self) -> &Common {
        &self.common
    }

    fn settings(&self) -> Map {
        let mut config = object(json!({ "factor": number(self.factor) }));
        // Keras leaves it out.
        if let Some(seed) = self.common.seed {
            config.insert("seed".into(), seed.into());
        }
        config
    }

    fn check(&self, channels: usize) -> Result<(), Detail> {
        require_share("factor", self.factor)?;
        require_gray_or_colour(channels)
    }

    fn transform(&self, x: &[f32], images: Images, draws: &Draws, y: &mut [f32]) {
        let chances = draws.uniform(images.samples, (0.0, 1.0));
        let channels = images.channels;
        each_sample(y, images.row(), 2, |sample, y| {
            let x = &x[sample * images.row()..][..images.row()];
            if chances[sample] >= self.factor {
                return y.copy_from_slice(x);
            }
            let pixels = x.chunks_exact(channels).zip(y.chunks_exact_mut(channels));
            pixels.for_each(|(x, y)| y.fill(gray(x)));
        });
    }
}

impl FromSettings for RandomGrayscale {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        Ok(RandomGrayscale {
            factor: settings.number("factor", 0.5)?,
            common: Common::from_settings(settings)?,
        })
    }
}
