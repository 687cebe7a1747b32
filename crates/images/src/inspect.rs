//! What is measured of each picture.

use crate::perceptual::of_luma;
use crate::resize::Resize;
use crate::{Interpolation, Picture, Source};

/// What was measured of a picture. How bright, how rich and how sharp it is, is measured as CleanVision does.
#[derive(Clone, Debug, PartialEq)]
pub struct Inspection {
    /// BLAKE3 of the file's bytes.
    pub content: [u8; 32],
    /// BLAKE3 of the size and the pixels: the same for files that look the same to the last bit.
    pub pixels: [u8; 32],
    /// [`perceptual_hash`](crate::perceptual_hash).
    pub perceptual: u64,
    /// Columns of the upright picture.
    pub width: usize,
    /// Rows of the upright picture.
    pub height: usize,
    /// What the file is like.
    pub source: Source,
    /// How bright pixels are.
    pub brightness: Brightness,
    /// Bits that the values of the pixels tell, all channels together: `−Σ p·log₂ p` over their histogram.
    pub entropy: f32,
    /// From 0 for blurred to 1: the edges' variation in the picture at 64 pixels.
    pub sharpness: f32,
    /// Whether all pixels have the same red, green and blue.
    pub grey: bool,
}

/// Of `√(.241·red² + .691·green² + .068·blue²) / 255` of each pixel, from 0 for black to 1 for white, the value that
/// so many per cent are below.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[allow(missing_docs)]
pub struct Brightness {
    pub p1: f32,
    pub p5: f32,
    pub p50: f32,
    pub p95: f32,
    pub p99: f32,
}

impl Inspection {
    /// Measures a picture; `content` is the BLAKE3 hash of its file. What it is not from a file is `None`.
    pub fn of(picture: &Picture, content: [u8; 32]) -> Option<Self> {
        let source = *picture.source()?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(picture.width() as u64).to_le_bytes());
        hasher.update(&(picture.height() as u64).to_le_bytes());
        hasher.update(picture.pixels());
        let Levels {
            brightness,
            entropy,
            grey,
        } = Levels::of(picture.pixels());
        Some(Inspection {
            content,
            pixels: *hasher.finalize().as_bytes(),
            perceptual: of_luma(&picture.luma(), [picture.width(), picture.height()]),
            width: picture.width(),
            height: picture.height(),
            source,
            brightness,
            entropy,
            sharpness: sharpness(picture),
            grey,
        })
    }
}

/// What histograms tell.
struct Levels {
    brightness: Brightness,
    entropy: f32,
    grey: bool,
}

/// Squares of the brightness are counted in steps of 2¹⁴, of 65,025,000 in all.
const STEP: u32 = 14;
const SQUARES: usize = (65_025_000 >> STEP) + 1;

impl Levels {
    fn of(pixels: &[u8]) -> Self {
        let mut channels = [[0_u32; 256]; 3];
        let mut squares = vec![0_u32; SQUARES];
        let mut grey = true;
        for &[red, green, blue] in pixels.as_chunks::<3>().0 {
            channels[0][usize::from(red)] += 1;
            channels[1][usize::from(green)] += 1;
            channels[2][usize::from(blue)] += 1;
            grey &= red == green && green == blue;
            let [red, green, blue] = [red, green, blue].map(u32::from);
            let square = 241 * red * red + 691 * green * green + 68 * blue * blue;
            squares[(square >> STEP) as usize] += 1;
        }
        let total = pixels.len() as f64;
        let entropy = channels
            .iter()
            .flatten()
            .filter(|&&count| count > 0)
            .map(|&count| {
                let share = f64::from(count) / total;
                -share * share.log2()
            });
        let percentile = |percent: f64| {
            let rank = (pixels.len() / 3 - 1) as f64 * percent / 100.0;
            let (mut below, mut bin) = (0.0, 0);
            while below + f64::from(squares[bin]) <= rank {
                below += f64::from(squares[bin]);
                bin += 1;
            }
            // Black and white are exact, what is between them is the middle of its step.
            let square = match bin {
                0 => 0.0,
                bin if bin == SQUARES - 1 => 65_025_000.0,
                bin => (bin as f64 + 0.5) * f64::from(1 << STEP),
            };
            (square / 65_025_000.0).sqrt() as f32
        };
        Levels {
            brightness: Brightness {
                p1: percentile(1.0),
                p5: percentile(5.0),
                p50: percentile(50.0),
                p95: percentile(95.0),
                p99: percentile(99.0),
            },
            entropy: entropy.sum::<f64>() as f32,
            grey,
        }
    }
}

/// CleanVision's score: with v the variance of the edges and h the standard deviation of the counts of the 256 levels
/// of grey, both of the picture with at most 64 pixels on a side,
/// `min(1, (1 − e^(−.01·√v)) + (1 − e^(−.01·h)))`, where the second term counts above .18.
fn sharpness(picture: &Picture) -> f32 {
    let (width, height) = (picture.width(), picture.height());
    let ratio = width.max(height) as f64 / 64.0;
    let small = match ratio > 1.0 {
        true => {
            let side = |side: usize| ((side as f64 / ratio).floor() as usize).max(1);
            let resize =
                Resize::new([side(height), side(width)]).interpolation(Interpolation::Bicubic);
            &picture
                .resize(&resize)
                .expect("at most 64 pixels on a side")
        }
        false => picture,
    };
    let luma = small.luma();
    let (width, height) = (small.width(), small.height());
    let mut counts = [0.0_f64; 256];
    for &level in &luma {
        counts[usize::from(level)] += 1.0;
    }
    // Pillow's FIND_EDGES: eight times the pixel without its neighbours; what lies at the border stays.
    let edge = |row: usize, column: usize| {
        let level = |row: usize, column: usize| i32::from(luma[row * width + column]);
        if row == 0 || column == 0 || row == height - 1 || column == width - 1 {
            return f64::from(level(row, column));
        }
        let mut sum = 9 * level(row, column);
        for row in row - 1..=row + 1 {
            for column in column - 1..=column + 1 {
                sum -= level(row, column);
            }
        }
        f64::from(sum.clamp(0, 255))
    };
    let edges: Vec<f64> = (0..height)
        .flat_map(|row| (0..width).map(move |column| (row, column)))
        .map(|(r, c)| edge(r, c))
        .collect();
    let score = |deviation: f64| 1.0 - (-0.01 * deviation).exp();
    let spread = score(deviation(&counts));
    let spread = if spread <= 0.18 { 0.0 } else { spread };
    (score(deviation(&edges)) + spread).min(1.0) as f32
}

fn deviation(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares = values.iter().map(|value| (value - mean) * (value - mean));
    (squares.sum::<f64>() / values.len() as f64).sqrt()
}
