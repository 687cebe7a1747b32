//! A decoded picture: rows of RGB pixels, upright, and what its file was like.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder};
use regraft_tensor::Detail;

use crate::{Error, Format, Result};

/// Rows of pixels from the top, each red, green and blue in 0..=255.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
    source: Option<Source>,
}

/// What the file of a picture was like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// The format.
    pub format: Format,
    /// What its pixels are made of.
    pub color: Color,
    /// Bits of a channel; of a palette, of its index.
    pub bits: u8,
    /// EXIF's orientation, 1 to 8: 1 if the file says nothing. It has been applied.
    pub orientation: u8,
    /// The size of the file in bytes.
    pub bytes: u64,
    /// Whether a part of the picture could not be read, so that it is grey or noise there.
    pub damaged: bool,
}

/// What pixels of a file are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Color {
    /// One channel.
    Grey,
    /// One channel and how opaque it is.
    GreyAlpha,
    /// Three channels.
    Rgb,
    /// Three channels and how opaque they are.
    Rgba,
    /// Numbers of colours in a table.
    Palette,
    /// Four channels of printing inks.
    Cmyk,
}

impl Color {
    /// The name, for tables.
    pub fn name(self) -> &'static str {
        match self {
            Color::Grey => "grey",
            Color::GreyAlpha => "grey with alpha",
            Color::Rgb => "RGB",
            Color::Rgba => "RGB with alpha",
            Color::Palette => "palette",
            Color::Cmyk => "CMYK",
        }
    }
}

impl Picture {
    /// A picture of these pixels, `width · height · 3` numbers.
    ///
    /// # Errors
    /// [`Error::Set`] if there are none or another number.
    pub fn new(width: usize, height: usize, pixels: Vec<u8>) -> Result<Self> {
        let wanted = width
            .checked_mul(height)
            .and_then(|pixels| pixels.checked_mul(3));
        if wanted != Some(pixels.len()) || pixels.is_empty() {
            return Err(Error::Set(Detail::new(
                "a picture's pixels",
                format!("{width} × {height} × 3 numbers, and at least one pixel"),
                pixels.len(),
            )));
        }
        Ok(Picture {
            width,
            height,
            pixels,
            source: None,
        })
    }

    pub(crate) fn with_source(mut self, source: Option<Source>) -> Self {
        self.source = source;
        self
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The pixels, row by row.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The pixels, row by row.
    pub fn into_pixels(self) -> Vec<u8> {
        self.pixels
    }

    /// What the file was like, if it is from one.
    pub fn source(&self) -> Option<&Source> {
        self.source.as_ref()
    }

    /// The brightness of each pixel as Pillow's mode `L` has it:
    /// `(19595·red + 38470·green + 7471·blue + 32768) / 65536`.
    pub fn luma(&self) -> Vec<u8> {
        let luma = |pixel: &[u8; 3]| {
            let [red, green, blue] = pixel.map(u32::from);
            ((19_595 * red + 38_470 * green + 7_471 * blue + 32_768) >> 16) as u8
        };
        self.pixels.as_chunks::<3>().0.iter().map(luma).collect()
    }

    /// The picture as a JPEG file, for reports; `quality` from 1 to 100.
    pub fn to_jpeg(&self, quality: u8) -> Result<Vec<u8>> {
        let mut file = Vec::new();
        JpegEncoder::new_with_quality(&mut file, quality.clamp(1, 100))
            .encode(
                &self.pixels,
                self.width as u32,
                self.height as u32,
                ExtendedColorType::Rgb8,
            )
            .map_err(|error| self.refused(error))?;
        Ok(file)
    }

    /// The picture as a PNG file.
    pub fn to_png(&self) -> Result<Vec<u8>> {
        let mut file = Cursor::new(Vec::new());
        image::codecs::png::PngEncoder::new(&mut file)
            .write_image(
                &self.pixels,
                self.width as u32,
                self.height as u32,
                ExtendedColorType::Rgb8,
            )
            .map_err(|error| self.refused(error))?;
        Ok(file.into_inner())
    }

    fn refused(&self, error: image::ImageError) -> Error {
        let size = format!("{} × {} pixels", self.width, self.height);
        Error::Set(Detail::new(
            "writing a picture",
            "a size that the format has",
            format!("{size}: {error}"),
        ))
    }
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Picture")
            .field("width", &self.width)
            .field("height", &self.height)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}
