//! What all layers that change images are told, and small things that many of them need.

use regraft_tensor::Detail;
use serde_json::Value;

use crate::settings::{Given, Setting, number, require};

/// How boxes beside the images are given in Keras; kept for the file, where there is none unless it was
/// given.
#[derive(Clone, Debug, Default)]
pub(crate) struct BoxFormat(pub Option<String>);

impl Setting for BoxFormat {
    fn read(given: Given<'_>) -> Result<Self, Detail> {
        String::read(given).map(|format| BoxFormat(Some(format)))
    }

    fn write(&self) -> Value {
        self.0.write()
    }

    fn is_written(&self) -> bool {
        self.0.is_some()
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

impl Setting for ValueRange {
    fn read(given: Given<'_>) -> Result<Self, Detail> {
        let wrong = || given.wrong("two numbers");
        match given.value.as_array().map(Vec::as_slice) {
            Some([a, b]) => match (a.as_f64(), b.as_f64()) {
                (Some(a), Some(b)) => Ok(ValueRange([a.min(b) as f32, a.max(b) as f32])),
                _ => Err(wrong()),
            },
            _ => Err(wrong()),
        }
    }

    fn write(&self) -> Value {
        self.0.into_iter().map(number).collect()
    }
}

/// The method of layers that have a range of pixels.
macro_rules! ranged {
    ($layer:ident) => {
        impl $layer {
            /// The least and the largest value of pixels; 0 and 255 unless told otherwise.
            #[must_use]
            pub fn value_range(mut self, low: f32, high: f32) -> Self {
                self.value_range = ValueRange([low, high]);
                self
            }
        }
    };
}
pub(crate) use ranged;

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
