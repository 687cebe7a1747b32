//! Which format a file has, by its first bytes: the ending of its name says nothing.

use std::fmt;

use image::ImageFormat;

/// Formats that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Format {
    /// JPEG: baseline and progressive Huffman coding of 8 bits.
    Jpeg,
    /// PNG; of an animation the first picture.
    Png,
    /// GIF; of an animation the first picture.
    Gif,
    /// Windows bitmaps.
    Bmp,
    /// WebP, lossy and lossless; of an animation the first picture.
    WebP,
    /// TIFF; of several pages the first.
    Tiff,
}

impl Format {
    /// The format of a file that begins so, or `None` if it is no picture of these formats.
    pub fn of(bytes: &[u8]) -> Option<Format> {
        match bytes {
            [0xff, 0xd8, 0xff, ..] => Some(Format::Jpeg),
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Format::Png),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Format::Gif),
            // Two letters would also begin a text: the size of the second header has a few values.
            [b'B', b'M', rest @ ..]
                if matches!(
                    rest.get(12..16),
                    Some([12 | 16 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0])
                ) =>
            {
                Some(Format::Bmp)
            }
            bytes if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") => {
                Some(Format::WebP)
            }
            [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => Some(Format::Tiff),
            _ => None,
        }
    }

    /// The name: `JPEG`, `PNG`, ….
    pub fn name(self) -> &'static str {
        match self {
            Format::Jpeg => "JPEG",
            Format::Png => "PNG",
            Format::Gif => "GIF",
            Format::Bmp => "BMP",
            Format::WebP => "WebP",
            Format::Tiff => "TIFF",
        }
    }

    /// The format as the decoders name it.
    pub(crate) fn decoder(self) -> ImageFormat {
        match self {
            Format::Jpeg => ImageFormat::Jpeg,
            Format::Png => ImageFormat::Png,
            Format::Gif => ImageFormat::Gif,
            Format::Bmp => ImageFormat::Bmp,
            Format::WebP => ImageFormat::WebP,
            Format::Tiff => ImageFormat::Tiff,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a file is that is no picture of these formats, for the message.
pub(crate) fn other_kind(bytes: &[u8]) -> &'static str {
    match bytes {
        [] => "an empty file",
        [
            _,
            _,
            _,
            _,
            b'f',
            b't',
            b'y',
            b'p',
            b'a',
            b'v',
            b'i',
            b'f' | b's',
            ..,
        ] => "an AVIF picture",
        [_, _, _, _, b'f', b't', b'y', b'p', b'h' | b'm', ..] => "a HEIC picture",
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => "a film",
        [0xff, 0x0a, ..] | [0, 0, 0, 12, b'J', b'X', b'L', b' ', ..] => "a JPEG XL picture",
        [0, 0, 0, 12, b'j', b'P', b' ', b' ', ..] => "a JPEG 2000 picture",
        [b'I', b'I', 43, 0, ..] | [b'M', b'M', 0, 43, ..] => "a BigTIFF picture",
        [0, 0, 1, 0, ..] => "an icon",
        [b'8', b'B', b'P', b'S', ..] => "a Photoshop file",
        [b'%', b'P', b'D', b'F', ..] => "a PDF document",
        [b'P', b'K', 3, 4, ..] => "a ZIP archive",
        _ => {
            let start = &bytes[..bytes.len().min(512)];
            let text = match std::str::from_utf8(start) {
                Ok(text) => text,
                // A character may be cut at the end.
                Err(error) if error.valid_up_to() + 4 > start.len() => {
                    std::str::from_utf8(&start[..error.valid_up_to()]).unwrap_or_default()
                }
                Err(_) => return "bytes of no known format",
            };
            let begins = text.trim_start().to_ascii_lowercase();
            if text.is_empty() || text.chars().any(|c| c.is_control() && !c.is_whitespace()) {
                "bytes of no known format"
            } else if begins.starts_with("<svg") || begins.contains("<svg ") {
                "an SVG drawing"
            } else if begins.starts_with("<!doctype html") || begins.starts_with("<html") {
                "an HTML page"
            } else {
                "a text"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_decide() {
        assert_eq!(Format::of(b"\xff\xd8\xff\xe0"), Some(Format::Jpeg));
        assert_eq!(Format::of(b"RIFF\0\0\0\0WEBPVP8 "), Some(Format::WebP));
        assert_eq!(Format::of(b"RIFF\0\0\0\0WAVEfmt "), None);
        assert_eq!(Format::of(b"BMW is a make of cars."), None);
        assert_eq!(
            Format::of(b"BM\0\0\0\0\0\0\0\0\0\0\0\0\x28\0\0\0"),
            Some(Format::Bmp)
        );
        assert_eq!(Format::of(b""), None);
    }

    #[test]
    fn what_is_no_picture_is_named() {
        let kinds: [(&[u8], &str); 6] = [
            (b"", "an empty file"),
            (b"BMW is a make of cars.", "a text"),
            ("caf\u{e9} \u{1f600}".as_bytes(), "a text"),
            (b"<html><body>404", "an HTML page"),
            (b"<?xml version='1.0'?>\n<svg xmlns", "an SVG drawing"),
            (b"\0\0\0\0\0\0\0", "bytes of no known format"),
        ];
        for (bytes, kind) in kinds {
            assert_eq!(other_kind(bytes), kind);
        }
    }
}
