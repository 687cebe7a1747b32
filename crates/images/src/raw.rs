//! What a decoder gives: pixels as they are in the file, or that they are not all there.

use image::metadata::Orientation;
use regraft_tensor::Detail;

use crate::{Color, Error};

/// A picture as its decoder gives it.
pub(crate) struct Raw {
    pub width: usize,
    pub height: usize,
    /// One for grey, two with alpha, three for RGB, four with alpha.
    pub channels: usize,
    pub pixels: Vec<u8>,
    pub color: Color,
    pub bits: u8,
    pub orientation: Orientation,
    pub damaged: bool,
}

/// The file ends too early.
pub(crate) fn truncated(expected: String, received: impl std::fmt::Display) -> Error {
    Error::Truncated(Detail::new("", expected, received).help("copy or download the file anew"))
}
