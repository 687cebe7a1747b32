//! Brightness, contrast, saturation and hue changed at random, one after the other.

use regraft_tensor::Detail;
use serde_json::json;

use super::common::{Common, ValueRange, require_colour};
use super::factor::Factor;
use super::transformation::{Draws, Images, Transformation, augmentation};
use super::{RandomBrightness, RandomContrast, RandomHue, RandomSaturation};
use crate::layers::object;
use crate::settings::{FromSettings, Map, Settings, require};

/// While it trains, what [`RandomBrightness`], [`RandomContrast`], [`RandomSaturation`] and [`RandomHue`] do,
/// in this order, each of them only if its factor is given.
///
/// | | |
/// |---|---|
/// | input, output | `(batch, rows, columns, channels)`, the same; 3 channels for saturation and hue |
/// | weights | none; frozen or in inference nothing changes |
/// | defaults | no factor, pixels from 0 to 255 |
///
/// Keras: <https://keras.io/api/layers/preprocessing_layers/image_augmentation/random_color_jitter/>.
#[derive(Clone, Debug)]
pub struct RandomColorJitter {
    brightness: Option<Factor>,
    contrast: Option<Factor>,
    saturation: Option<Factor>,
    hue: Option<Factor>,
    value_range: ValueRange,
    common: Common,
}

impl Default for RandomColorJitter {
    fn default() -> Self {
        RandomColorJitter {
            brightness: None,
            contrast: None,
            saturation: None,
            hue: None,
            value_range: ValueRange::BYTES,
            common: Common::default(),
        }
    }
}

impl RandomColorJitter {
    /// A layer that is yet to be told what to change.
    pub fn new() -> Self {
        Self::default()
    }

    /// The factor of [`RandomBrightness`].
    #[must_use]
    pub fn brightness(mut self, factor: impl Into<Factor>) -> Self {
        self.brightness = Some(factor.into());
        self
    }

    /// The factor of [`RandomContrast`].
    #[must_use]
    pub fn contrast(mut self, factor: impl Into<Factor>) -> Self {
        self.contrast = Some(factor.into());
        self
    }

    /// The factor of [`RandomSaturation`].
    #[must_use]
    pub fn saturation(mut self, factor: impl Into<Factor>) -> Self {
        self.saturation = Some(factor.into());
        self
    }

    /// The factor of [`RandomHue`].
    #[must_use]
    pub fn hue(mut self, factor: impl Into<Factor>) -> Self {
        self.hue = Some(factor.into());
        self
    }

    /// The least and the largest value of pixels; 0 and 255 unless told otherwise.
    #[must_use]
    pub fn value_range(mut self, low: f32, high: f32) -> Self {
        self.value_range = ValueRange([low, high]);
        self
    }

    /// The changes in order.
    fn changes(&self) -> Vec<Box<dyn Transformation>> {
        let [low, high] = self.value_range.0;
        let mut changes: Vec<Box<dyn Transformation>> = Vec::new();
        if let Some(factor) = self.brightness {
            changes.push(Box::new(
                RandomBrightness::new(factor).value_range(low, high),
            ));
        }
        if let Some(factor) = self.contrast {
            changes.push(Box::new(RandomContrast::new(factor).value_range(low, high)));
        }
        if let Some(factor) = self.saturation {
            changes.push(Box::new(
                RandomSaturation::new(factor).value_range(low, high),
            ));
        }
        if let Some(factor) = self.hue {
            changes.push(Box::new(RandomHue::new(factor).value_range(low, high)));
        }
        changes
    }
}

augmentation!(RandomColorJitter);

impl Transformation for RandomColorJitter {
    fn common(&self) -> &Common {
        &self.common
    }

    fn settings(&self) -> Map {
        object(json!({
            "value_range": self.value_range.serialize(),
            "brightness_factor": self.brightness.map(Factor::serialize),
            "contrast_factor": self.contrast.map(Factor::serialize),
            "saturation_factor": self.saturation.map(Factor::serialize),
            "hue_factor": self.hue.map(Factor::serialize),
            "seed": self.common.seed,
        }))
    }

    fn check(&self, channels: usize) -> Result<(), Detail> {
        if self.saturation.is_some() || self.hue.is_some() {
            require_colour(channels)?;
        }
        // Keras does not hand the format on to the layers inside.
        let last = !self.common.channels_first;
        require(last, "data_format", "\"channels_last\"", "channels_first")?;
        self.changes()
            .iter()
            .try_for_each(|change| change.check(channels))
    }

    fn transform(&self, x: &[f32], images: Images, draws: &Draws, y: &mut [f32]) {
        let mut before = x.to_vec();
        for change in self.changes() {
            change.transform(&before, images, draws, y);
            before.copy_from_slice(y);
        }
        y.copy_from_slice(&before);
    }
}

impl FromSettings for RandomColorJitter {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        Ok(RandomColorJitter {
            brightness: settings.optional_factor("brightness_factor")?,
            contrast: settings.optional_factor("contrast_factor")?,
            saturation: settings.optional_factor("saturation_factor")?,
            hue: settings.optional_factor("hue_factor")?,
            value_range: settings.value_range()?,
            common: Common::from_settings(settings)?,
        })
    }
}
