//! A heat map as a picture of as many pixels as it has cells, which the browser draws smoothly over
//! another one: a few hundred bytes.

use std::io::Write;

use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};

/// A PNG with transparency, clear where `values` are 0.
pub(crate) fn png(columns: usize, values: &[f32]) -> Vec<u8> {
    let mut pixels = Vec::with_capacity(values.len() * 4 + values.len() / columns);
    for row in values.chunks(columns) {
        // No filter.
        pixels.push(0);
        pixels.extend(row.iter().flat_map(|&value| colour(value)));
    }
    let mut header = Vec::new();
    header.extend_from_slice(&(columns as u32).to_be_bytes());
    header.extend_from_slice(&((values.len() / columns) as u32).to_be_bytes());
    // 8 bits, red, green, blue and opacity, none of the options.
    header.extend_from_slice(&[8, 6, 0, 0, 0]);
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder
        .write_all(&pixels)
        .expect("a vector takes everything");
    let packed = encoder.finish().expect("a vector takes everything");

    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, data) in [
        (b"IHDR", &header),
        (b"IDAT", &packed),
        (b"IEND", &Vec::new()),
    ] {
        png.extend_from_slice(&(data.len() as u32).to_be_bytes());
        let from = png.len();
        png.extend_from_slice(kind);
        png.extend_from_slice(data);
        let mut crc = Crc::new();
        crc.update(&png[from..]);
        png.extend_from_slice(&crc.sum().to_be_bytes());
    }
    png
}

/// From clear over dark red to bright yellow, which differ in lightness too.
fn colour(value: f32) -> [u8; 4] {
    // Not a number counts as nothing.
    let value = if value.is_nan() {
        0.0
    } else {
        value.clamp(0.0, 1.0)
    };
    let byte = |share: f32| (share * 255.0).round() as u8;
    let green = ((value - 0.35) / 0.65).max(0.0);
    [
        byte(0.55 + 0.45 * value),
        byte(0.92 * green),
        byte(0.1),
        byte(0.72 * value),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_heat_is_brighter_and_hides_more() {
        let light = |[red, green, blue, _]: [u8; 4]| {
            2126 * u32::from(red) + 7152 * u32::from(green) + 722 * u32::from(blue)
        };
        let colours: Vec<[u8; 4]> = (0..=10).map(|tenth| colour(tenth as f32 / 10.0)).collect();
        assert_eq!(colours[0][3], 0);
        for pair in colours.windows(2) {
            assert!(
                light(pair[0]) < light(pair[1]) && pair[0][3] < pair[1][3],
                "{pair:?}"
            );
        }
        assert_eq!(colour(f32::NAN)[3], 0);
        assert_eq!(colour(f32::INFINITY), colour(1.0));
    }

    #[test]
    fn a_map_is_a_few_hundred_bytes() {
        let values: Vec<f32> = (0..49).map(|cell| (cell * 37 % 49) as f32 / 48.0).collect();
        let png = png(7, &values);
        assert!(png.len() < 400, "{}", png.len());
        assert_eq!(&png[12..24], b"IHDR\0\0\0\x07\0\0\0\x07");
    }
}
