//! What all layers that change images are told, and small things that many of them need.

use regraft_tensor::Detail;
use serde_json::Value;

use crate::layers::spatial::DataFormat;
use crate::settings::{Map, Setting, Settings, number, require};

/// What all of them are told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Common {
    /// The stream of random numbers.
    pub seed: Option<u64>,
    /// Where the channels are.
    pub channels_first: bool,
    /// How boxes beside the images are given in Keras; kept for the file.
    pub bounding_box_format: Option<String>,
}

impl Common {
    pub fn write(&self, config: &mut Map) {
        let format = match self.channels_first {
            true => DataFormat::ChannelsFirst,
            false => DataFormat::ChannelsLast,
        };
        config.insert("data_format".into(), format.write());
        if let Some(format) = &self.bounding_box_format {
            config.insert("bounding_box_format".into(), format.as_str().into());
        }
    }

    pub fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        // Of Keras 2: how it keeps its random numbers.
        settings.ignore(&["rng_type"]);
        let bounding_box_format = match settings.value("bounding_box_format") {
            None => None,
            Some(_) => Some(settings.text("bounding_box_format", "")?.to_string()),
        };
        Ok(Common {
            seed: settings.seed()?,
            channels_first: !settings.channels_last()?,
            bounding_box_format,
        })
    }
}

/// The least and the largest value of a pixel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ValueRange(pub [f32; 2]);

impl ValueRange {
    /// Of bytes.
    pub const BYTES: Self = ValueRange([0.0, 255.0]);

    pub fn check(self) -> Result<(), Detail> {
        let [low, high] = self.0;
        let fits = low.is_finite() && high.is_finite() && low < high;
        require(
            fits,
            "value_range",
            "two numbers, the smaller one first",
            self.0,
        )
    }

    pub fn serialize(self) -> Value {
        self.0.into_iter().map(number).collect()
    }

    pub fn clip(self, value: f32) -> f32 {
        value.max(self.0[0]).min(self.0[1])
    }

    /// `value`, which is of this range, in `other`.
    pub fn convert(self, value: f32, other: ValueRange) -> f32 {
        if self == other {
            return value;
        }
        let ([low, high], [to_low, to_high]) = (self.0, other.0);
        (value - low) / (high - low) * (to_high - to_low) + to_low
    }
}

impl Settings<'_> {
    /// The range of pixels, that of bytes unless told otherwise.
    pub(crate) fn value_range(&self) -> Result<ValueRange, Detail> {
        let Some(value) = self.value("value_range") else {
            return Ok(ValueRange::BYTES);
        };
        match value.as_array().map(Vec::as_slice) {
            Some([a, b]) => match (a.as_f64(), b.as_f64()) {
                (Some(a), Some(b)) => Ok(ValueRange([a.min(b) as f32, a.max(b) as f32])),
                _ => Err(self.wrong("value_range", "two numbers", value)),
            },
            _ => Err(self.wrong("value_range", "two numbers", value)),
        }
    }
}

/// The brightness of a pixel as the eye has it; of one channel, that channel.
pub(crate) fn gray(pixel: &[f32]) -> f32 {
    match *pixel {
        [red, green, blue] => 0.2989 * red + 0.5870 * green + 0.1140 * blue,
        _ => pixel[0],
    }
}

/// An error unless the images are gray or of three colours.
pub(crate) fn require_gray_or_colour(channels: usize) -> Result<(), Detail> {
    let fits = channels == 1 || channels == 3;
    require(fits, "", "images of 1 or 3 channels", channels)
}

/// An error unless the images are of three colours.
pub(crate) fn require_colour(channels: usize) -> Result<(), Detail> {
    require(channels == 3, "", "images of 3 channels", channels)
}
