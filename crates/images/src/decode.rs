//! From the bytes of a file to upright RGB pixels.

use std::io::Cursor;

use image::error::ImageError;
use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ExtendedColorType, ImageDecoder, ImageReader, RgbImage};
use regraft_tensor::Detail;

use crate::format::other_kind;
use crate::raw::{Raw, truncated};
use crate::{Color, Error, Format, Limits, Picture, Result, Source, jpeg, tiff};

/// Decodes the bytes of a file, whatever its name is.
///
/// - Pixels are RGB of 8 bits. Grey is repeated in all three. Of 16 bits the upper 8 are taken, as libpng,
///   TensorFlow and Pillow do. What is transparent lies on white: `(value · alpha + 255 · (255 − alpha)) / 255`,
///   rounded; TensorFlow and Pillow show what happens to stand under it instead.
/// - Inks become `(255 − ink) · (255 − black) / 255`; colour profiles are not applied, as Pillow and TensorFlow do not.
/// - EXIF's orientation is applied: the picture stands as it was taken.
/// - Of several pictures in a file it is the first.
/// - The declared size is checked before anything is allocated for it.
///
/// ```
/// use regraft_images::{Format, Limits, Picture, decode};
///
/// let png = Picture::new(2, 1, vec![255, 0, 0, 0, 0, 255])?.to_png()?;
/// let picture = decode(&png, &Limits::default())?;
/// assert_eq!((picture.width(), picture.height()), (2, 1));
/// assert_eq!(picture.pixels(), [255, 0, 0, 0, 0, 255]);
/// assert_eq!(picture.source().unwrap().format, Format::Png);
/// # Ok::<(), regraft_images::Error>(())
/// ```
///
/// # Errors
/// [`Error::Format`] for what is no picture, [`Error::TooLarge`], [`Error::Truncated`] if the file ends before the
/// picture, [`Error::Broken`]. A JPEG of which a part cannot be read although the file has its end is
/// [`damaged`](Source::damaged).
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Picture> {
    limits.check_file(bytes.len() as u64)?;
    let Some(format) = Format::of(bytes) else {
        return Err(Error::Format(
            Detail::new(
                "",
                "a JPEG, PNG, GIF, BMP, WebP or TIFF picture",
                other_kind(bytes),
            )
            .help("the file's first bytes say what it is, not its name"),
        ));
    };
    let raw = match format {
        Format::Jpeg => jpeg::decode(bytes, limits)?,
        format => decode_other(bytes, format, limits)?,
    };
    let source = Source {
        format,
        color: raw.color,
        bits: raw.bits,
        orientation: raw.orientation.to_exif(),
        bytes: bytes.len() as u64,
        damaged: raw.damaged,
    };
    let orientation = raw.orientation;
    let (width, height) = (raw.width as u32, raw.height as u32);
    let pixels = rgb(raw);
    let mut upright = DynamicImage::ImageRgb8(
        RgbImage::from_raw(width, height, pixels).expect("as many pixels as the size says"),
    );
    upright.apply_orientation(orientation);
    let (width, height) = (upright.width() as usize, upright.height() as usize);
    Ok(Picture::new(width, height, upright.into_rgb8().into_raw())?.with_source(Some(source)))
}

fn decode_other(bytes: &[u8], format: Format, limits: &Limits) -> Result<Raw> {
    let refused = |error| refused(format, error);
    // PNG says size and colour in its first 26 bytes; anything that its decoder does comes after the check.
    let header = match bytes.get(16..26) {
        Some(ihdr) if format == Format::Png && bytes[12..].starts_with(b"IHDR") => {
            let number = |bytes: &[u8]| {
                bytes
                    .iter()
                    .fold(0, |high, &low| high << 8 | u64::from(low))
            };
            limits.check_size(number(&ihdr[..4]), number(&ihdr[4..8]), 3)?;
            Some((ihdr[8], ihdr[9]))
        }
        _ => None,
    };
    if let (Format::WebP, Some(&length)) = (format, bytes[4..].first_chunk::<4>()) {
        // Its decoder calls what is cut corrupt.
        let whole = u64::from(u32::from_le_bytes(length)) + 8;
        if (bytes.len() as u64) < whole {
            let expected = format!("a whole WebP file of {whole} bytes");
            return Err(truncated(expected, bytes.len()));
        }
    }
    if format == Format::Tiff {
        tiff::check_fields(bytes, limits)?;
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format.decoder());
    let mut allowed = image::Limits::no_limits();
    allowed.max_alloc = Some(limits.bytes);
    reader.limits(allowed);
    let mut decoder = reader.into_decoder().map_err(refused)?;
    let (width, height) = decoder.dimensions();
    let kind = decoder.color_type();
    let needed = u64::from(kind.bytes_per_pixel()).max(3);
    limits.check_size(u64::from(width), u64::from(height), needed)?;
    if width == 0 || height == 0 {
        let received = format!("{width} × {height}");
        return Err(Error::Broken(Detail::new(
            "",
            "a picture of some pixels",
            received,
        )));
    }
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let (color, bits) = match (format, header) {
        (Format::Png, Some((bits, color))) => (
            match color {
                0 => Color::Grey,
                3 => Color::Palette,
                4 => Color::GreyAlpha,
                6 => Color::Rgba,
                _ => Color::Rgb,
            },
            bits,
        ),
        (Format::Gif, _) => (Color::Palette, 8),
        _ => color_of(decoder.original_color_type(), kind),
    };
    let mut samples = vec![0; decoder.total_bytes() as usize];
    decoder.read_image(&mut samples).map_err(refused)?;
    let channels = usize::from(kind.channel_count());
    let pixels = match kind {
        ColorType::L8 | ColorType::La8 | ColorType::Rgb8 | ColorType::Rgba8 => samples,
        ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16 => {
            let upper = |sample: &[u8; 2]| (u16::from_ne_bytes(*sample) >> 8) as u8;
            samples.as_chunks::<2>().0.iter().map(upper).collect()
        }
        kind => {
            return Err(Error::Format(
                Detail::new(
                    "",
                    "pixels of 8 or 16 bits",
                    format!("{kind:?} in a {format}"),
                )
                .help("write the picture as PNG"),
            ));
        }
    };
    Ok(Raw {
        width: width as usize,
        height: height as usize,
        channels,
        pixels,
        color,
        bits,
        orientation,
        damaged: false,
    })
}

fn color_of(original: ExtendedColorType, kind: ColorType) -> (Color, u8) {
    use ExtendedColorType as E;
    let bits = (kind.bytes_per_pixel() / kind.channel_count()) * 8;
    match original {
        E::L1 => (Color::Grey, 1),
        E::Cmyk8 | E::Cmyk16 => (Color::Cmyk, bits),
        _ => {
            let color = match kind.channel_count() {
                1 => Color::Grey,
                2 => Color::GreyAlpha,
                3 => Color::Rgb,
                _ => Color::Rgba,
            };
            (color, bits)
        }
    }
}

/// RGB pixels, what is transparent on white.
fn rgb(raw: Raw) -> Vec<u8> {
    fn on_white(value: u8, alpha: u8) -> u8 {
        let (value, alpha) = (u32::from(value), u32::from(alpha));
        ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
    }
    match raw.channels {
        1 => raw.pixels.iter().flat_map(|&grey| [grey; 3]).collect(),
        2 => {
            let pixels = raw.pixels.as_chunks::<2>().0.iter();
            pixels
                .flat_map(|&[grey, alpha]| [on_white(grey, alpha); 3])
                .collect()
        }
        3 => raw.pixels,
        _ => {
            let pixels = raw.pixels.as_chunks::<4>().0.iter();
            pixels
                .flat_map(|&[red, green, blue, alpha]| {
                    [red, green, blue].map(|value| on_white(value, alpha))
                })
                .collect()
        }
    }
}

/// The decoders' error as ours.
fn refused(format: Format, error: ImageError) -> Error {
    match error {
        ImageError::Limits(error) => Error::TooLarge(Detail::new(
            "",
            format!("a {format} within the limits"),
            error,
        )),
        ImageError::Unsupported(error) => Error::Format(
            Detail::new("", format!("a kind of {format} that is read"), error)
                .help("write the picture anew with another program"),
        ),
        error if ended(&error) => truncated(format!("a whole {format} file"), error),
        error => Error::Broken(Detail::new("", format!("a sound {format} file"), error)),
    }
}

/// Whether an error is that the bytes end.
fn ended(error: &ImageError) -> bool {
    match error {
        ImageError::IoError(error) => error.kind() == std::io::ErrorKind::UnexpectedEof,
        error => error.to_string().to_lowercase().contains("unexpected end"),
    }
}
