//! JPEG files. The decoder fills with grey what it cannot read and says nothing, so two things are asked besides:
//! whether the file has its end, and whether the decoder, told to be strict, stops somewhere.

use image::metadata::Orientation;
use regraft_tensor::Detail;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use crate::raw::{Raw, truncated};
use crate::{Color, Error, Limits, Result};

/// Decodes a JPEG file.
pub(crate) fn decode(bytes: &[u8], limits: &Limits) -> Result<Raw> {
    // Bytes between the headers, as some cameras write them, are no damage to the pixels, but a strict decoder stops
    // at them.
    let tidy;
    let mut bytes = bytes;
    let mut damaged = false;
    let mut decoder = self::decoder(bytes, true, ColorSpace::RGB);
    if decoder.decode_headers().is_err() {
        tidy = without_filling(bytes);
        bytes = &tidy;
        decoder = self::decoder(bytes, true, ColorSpace::RGB);
        damaged = decoder.decode_headers().is_err();
    }
    if damaged {
        decoder = self::decoder(bytes, false, ColorSpace::RGB);
        decoder
            .decode_headers()
            .map_err(|error| refused(bytes, &error))?;
    }
    let info = decoder.info().expect("the headers have been read");
    let (width, height) = (usize::from(info.width), usize::from(info.height));
    // A progressive picture is kept as coefficients of 16 bits until its last scan.
    let components = u64::from(info.components);
    let progressive = info.sof.is_progressive();
    let needed = 3 + if progressive { 2 * components } else { 0 };
    limits.check_size(width as u64, height as u64, needed)?;
    let input = decoder
        .input_colorspace()
        .expect("the headers have been read");
    let (color, output) = match input {
        ColorSpace::Luma => (Color::Grey, ColorSpace::Luma),
        ColorSpace::CMYK | ColorSpace::YCCK => (Color::Cmyk, ColorSpace::RGB),
        _ => (Color::Rgb, ColorSpace::RGB),
    };
    let orientation = decoder
        .exif()
        .and_then(|exif| Orientation::from_exif_chunk(exif))
        .unwrap_or(Orientation::NoTransforms);
    let mut pixels = vec![0; width * height * output.num_components()];
    let end = end(bytes);
    // After the marker of the end the decoder goes on with zeros, as long as it likes. Without the marker it stops
    // where the bytes do; the zeros here are what it may read ahead.
    let open = match end {
        Some(end) if !progressive => &[&bytes[..end], &[0; 16]].concat(),
        _ => bytes,
    };
    let mut strict = self::decoder(open, true, output);
    if damaged || strict.decode_into(&mut pixels).is_err() {
        if end.is_none() {
            return Err(cut(bytes));
        }
        let mut lenient = self::decoder(bytes, false, output);
        lenient
            .decode_into(&mut pixels)
            .map_err(|error| refused(bytes, &error))?;
        damaged = true;
    } else if end.is_none() {
        // The scans of a progressive picture that are missing would have made it sharper.
        if progressive {
            return Err(cut(bytes));
        }
        damaged = true;
    }
    Ok(Raw {
        width,
        height,
        channels: output.num_components(),
        pixels,
        color,
        bits: 8,
        orientation,
        damaged,
    })
}

fn decoder(bytes: &[u8], strict: bool, output: ColorSpace) -> JpegDecoder<ZCursor<&[u8]>> {
    let options = DecoderOptions::default()
        .set_strict_mode(strict)
        .set_max_width(usize::MAX)
        .set_max_height(usize::MAX)
        .jpeg_set_out_colorspace(output);
    JpegDecoder::new_with_options(ZCursor::new(bytes), options)
}

fn refused(bytes: &[u8], error: &DecodeErrors) -> Error {
    if end(bytes).is_none() {
        return cut(bytes);
    }
    Error::Broken(
        Detail::new("", "a JPEG picture of 8 bits in Huffman coding", error)
            .help("write the picture anew with another program"),
    )
}

fn cut(bytes: &[u8]) -> Error {
    let received = format!("{} bytes without the marker of the end", bytes.len());
    truncated("a whole JPEG file".to_string(), received)
}

/// Where the marker of the end of the first picture is. The segments are walked, so that the end of a thumbnail within
/// one does not count.
fn end(bytes: &[u8]) -> Option<usize> {
    let mut at = 2;
    loop {
        // Between segments, and in the code, whatever stands before the next marker is passed over.
        at += bytes.get(at..)?.iter().position(|&byte| byte == 0xff)? + 1;
        match bytes.get(at)? {
            0xd9 => return Some(at - 1),
            // A byte 255 of the code, a restart, a marker without a length.
            0x00 | 0x01 | 0xd0..=0xd8 => at += 1,
            // A filler.
            0xff => {}
            _ => {
                let &[high, low] = bytes.get(at + 1..at + 3)?.first_chunk()?;
                at += 1 + usize::from(u16::from_be_bytes([high, low])).max(2);
            }
        }
    }
}

/// The file without what stands between its headers, up to where its code begins.
fn without_filling(bytes: &[u8]) -> Vec<u8> {
    let mut tidy = bytes[..bytes.len().min(2)].to_vec();
    let mut at = tidy.len();
    loop {
        let marker = bytes.get(at..).and_then(|rest| {
            let pairs = rest.windows(2);
            let found = pairs
                .clone()
                .position(|pair| pair[0] == 0xff && !matches!(pair[1], 0 | 0xff))?;
            Some((at + found, rest[found + 1]))
        });
        let Some((from, kind)) = marker else {
            return tidy;
        };
        let length = bytes.get(from + 2..from + 4);
        let length = length.map_or(0, |length| {
            usize::from(u16::from_be_bytes([length[0], length[1]]))
        });
        let to = match kind {
            // The code: all that is left.
            0xda => bytes.len(),
            0x01 | 0xd0..=0xd9 => from + 2,
            _ => (from + 2 + length.max(2)).min(bytes.len()),
        };
        tidy.extend_from_slice(&bytes[from..to]);
        at = to;
    }
}

#[cfg(test)]
mod tests {
    use super::{decode, end, without_filling};
    use crate::Limits;

    /// 16 × 8 pixels.
    const PICTURE: &[u8] = include_bytes!("../../../fixtures/images/orientation_1.jpg");

    #[test]
    fn bytes_between_headers_are_no_damage() {
        let limits = Limits::default();
        let sound = decode(PICTURE, &limits).unwrap();
        assert!(!sound.damaged);
        assert_eq!(without_filling(PICTURE), PICTURE);
        // Behind the first segment.
        let first = 4 + usize::from(u16::from_be_bytes([PICTURE[4], PICTURE[5]])) - 2 + 2;
        let filled = [&PICTURE[..first], &[0; 8], &PICTURE[first..]].concat();
        assert_eq!(without_filling(&filled), PICTURE);
        let found = decode(&filled, &limits).unwrap();
        assert!(!found.damaged);
        assert_eq!(found.pixels, sound.pixels);
        // Code that is missing is damage, with filling as without.
        let mut broken = filled.clone();
        let middle = filled.len() - 60;
        broken.drain(middle..middle + 40);
        assert!(decode(&broken, &limits).unwrap().damaged);
        for length in 0..filled.len() {
            let _ = decode(&filled[..length], &limits);
        }
    }

    #[test]
    fn the_end_is_that_of_the_picture_itself() {
        let thumbnail = [0xff, 0xe1, 0, 6, 0xff, 0xd8, 0xff, 0xd9];
        let scan = [0xff, 0xda, 0, 2, 1, 2, 0xff, 0, 3, 0xff, 0xd0, 4];
        let cut = [&[0xff, 0xd8][..], &thumbnail, &scan].concat();
        for length in 0..cut.len() {
            assert_eq!(end(&cut[..length]), None);
        }
        let whole = [&cut[..], &[0xff, 0xff, 0xd9, 7]].concat();
        assert_eq!(end(&whole), Some(cut.len() + 1));
    }
}
