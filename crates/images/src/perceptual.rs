//! A hash of what a picture looks like: similar pictures have hashes that differ in few bits.

use std::f64::consts::PI;

use crate::Picture;
use crate::resize::lanczos;

const SIDE: usize = 32;
const KEPT: usize = 8;

/// The 64 lowest frequencies of the picture at 32 × 32 levels of grey (a discrete cosine transform), each one bit:
/// whether it is above their median. It is `imagehash.phash`. The upper left bit is the highest.
pub fn perceptual_hash(picture: &Picture) -> u64 {
    of_luma(&picture.luma(), [picture.width(), picture.height()])
}

pub(crate) fn of_luma(luma: &[u8], size: [usize; 2]) -> u64 {
    let small = lanczos(luma, size, [SIDE, SIDE]);
    let cosine = |frequency: usize, at: usize| {
        (PI * (frequency * (2 * at + 1)) as f64 / (2 * SIDE) as f64).cos()
    };
    let cosines: [[f64; SIDE]; KEPT] =
        std::array::from_fn(|frequency| std::array::from_fn(|at| cosine(frequency, at)));
    // Along the columns, then along the rows.
    let mut half = [[0.0; SIDE]; KEPT];
    for (frequency, sums) in half.iter_mut().enumerate() {
        for (row, levels) in small.chunks_exact(SIDE).enumerate() {
            for (sum, &level) in sums.iter_mut().zip(levels) {
                *sum += cosines[frequency][row] * f64::from(level);
            }
        }
    }
    let mut lowest = [0.0; KEPT * KEPT];
    for (values, sums) in lowest.chunks_exact_mut(KEPT).zip(&half) {
        for (value, cosines) in values.iter_mut().zip(&cosines) {
            *value = sums
                .iter()
                .zip(cosines)
                .map(|(sum, cosine)| sum * cosine)
                .sum();
        }
    }
    let mut ranked = lowest;
    ranked.sort_by(f64::total_cmp);
    let median = (ranked[31] + ranked[32]) / 2.0;
    lowest
        .iter()
        .fold(0, |hash, &value| hash << 1 | u64::from(value > median))
}
