//! Normal numbers made of uniform ones.

use super::{COST, Conversion, Key, fill};
use crate::kernels::isa::vectorised;
use crate::kernels::math;
use crate::kernels::parallel::parts;

/// Sine and cosine of `2π · turn`, for `turn` in [−½, ½].
#[inline(always)]
fn sin_cos_of_turn(turn: f32) -> (f32, f32) {
    // To the nearest quarter; what is left is exact and at most an eighth of a turn.
    let quarter = math::round(turn * 4.0);
    let x = (turn - quarter * 0.25) * std::f32::consts::TAU;
    let y = x * x;
    // Taylor series; what is cut off is below 2⁻²⁸ within ±π/4.
    let sin =
        x + x * y * (-1.0 / 6.0 + y * (1.0 / 120.0 + y * (-1.0 / 5040.0 + y * (1.0 / 362_880.0))));
    let cos = 1.0
        + y * (-0.5
            + y * (1.0 / 24.0
                + y * (-1.0 / 720.0 + y * (1.0 / 40_320.0 - y * (1.0 / 3_628_800.0)))));
    let odd = quarter.abs() == 1.0;
    let half = quarter.abs() == 2.0;
    let (s, c) = (math::select(odd, cos, sin), math::select(odd, sin, cos));
    (
        math::select((quarter == -1.0) | half, -s, s),
        math::select((quarter == 1.0) | half, -c, c),
    )
}

/// Box and Muller: the two normal numbers of a pair of words.
#[inline(always)]
fn pair(first: u32, second: u32) -> (f32, f32) {
    // In (0, 1]; the smallest gives a radius of 6.7.
    let radius = math::sqrt(-2.0 * math::ln((first as f32 + 0.5) * (1.0 / 4_294_967_296.0)));
    let (sin, cos) = sin_cos_of_turn(second as i32 as f32 * (1.0 / 4_294_967_296.0));
    (radius * cos, radius * sin)
}

struct Normal;

impl Conversion for Normal {
    type Number = f32;

    #[inline(always)]
    fn convert(words: &[u32], numbers: &mut [f32]) {
        let pairs = words.as_chunks::<2>().0.iter();
        for (numbers, &[first, second]) in numbers.as_chunks_mut::<2>().0.iter_mut().zip(pairs) {
            let (even, odd) = pair(first, second);
            *numbers = [even, odd];
        }
    }
}

struct TruncatedNormal;

impl Conversion for TruncatedNormal {
    type Number = f32;

    #[inline(always)]
    fn convert(words: &[u32], numbers: &mut [f32]) {
        for (number, &word) in numbers.iter_mut().zip(words) {
            let uniform = (word as i32 as f32 + 0.5) * (1.0 / 2_147_483_648.0);
            *number = math::central_normal_quantile(uniform);
        }
    }
}

vectorised! {
    fn normal_part[](key: Key, offset: u64, out: &mut [f32]) {
        fill::<Normal>(key, offset, out);
    }
}

vectorised! {
    fn truncated_part[](key: Key, offset: u64, out: &mut [f32]) {
        fill::<TruncatedNormal>(key, offset, out);
    }
}

/// Normal numbers of mean 0 and standard deviation 1 (Box–Muller; at most 6.7 from zero).
pub fn normal(key: Key, offset: u64, out: &mut [f32]) {
    parts(out, 4, 2 * COST, |start, out| {
        normal_part(key, offset.wrapping_add(start as u64), out);
    });
}

/// Numbers of the standard normal distribution given that they lie within ±2, as Keras'
/// `TruncatedNormal` draws them for mean 0 and `stddev` 1: their own standard deviation is 0.8796.
///
/// Made by inverting the distribution function, so that each takes exactly one word.
pub fn truncated_normal(key: Key, offset: u64, out: &mut [f32]) {
    parts(out, 4, 2 * COST, |start, out| {
        truncated_part(key, offset.wrapping_add(start as u64), out);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(x: &[f32]) -> [f64; 4] {
        let n = x.len() as f64;
        let mean = x.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
        let central = |power| {
            x.iter()
                .map(|&x| (f64::from(x) - mean).powi(power))
                .sum::<f64>()
                / n
        };
        let variance = central(2);
        [
            mean,
            variance,
            central(3) / variance.powf(1.5),
            central(4) / variance.powi(2),
        ]
    }

    fn near(received: [f64; 4], expected: [f64; 4]) {
        for (received, expected) in received.iter().zip(expected) {
            assert!((received - expected).abs() < 0.02, "{received} {expected}");
        }
    }

    #[test]
    fn turns_have_the_right_sine_and_cosine() {
        for i in -1000..=1000 {
            let turn = i as f32 / 2000.0;
            let (sin, cos) = sin_cos_of_turn(turn);
            let (exact_sin, exact_cos) = (f64::from(turn) * std::f64::consts::TAU).sin_cos();
            assert!((f64::from(sin) - exact_sin).abs() < 1.5e-7, "{turn}");
            assert!((f64::from(cos) - exact_cos).abs() < 1.5e-7, "{turn}");
        }
    }

    #[test]
    fn normal_numbers_have_the_moments_of_the_normal_distribution() {
        let mut x = vec![0.0; 200_000];
        normal(Key::new(3, 9), 0, &mut x);
        near(moments(&x), [0.0, 1.0, 0.0, 3.0]);
        let within = x.iter().filter(|x| x.abs() < 1.0).count() as f64 / x.len() as f64;
        assert!((within - 0.6827).abs() < 0.004, "{within}");
        let products: f64 = x.chunks(2).map(|pair| f64::from(pair[0] * pair[1])).sum();
        assert!((products / 100_000.0).abs() < 0.01);
    }

    #[test]
    fn truncated_numbers_stay_within_two_deviations() {
        let mut x = vec![0.0; 200_000];
        truncated_normal(Key::new(3, 9), 0, &mut x);
        assert!(x.iter().all(|x| x.abs() <= 2.0));
        let [mean, variance, skew, _] = moments(&x);
        assert!(mean.abs() < 0.01 && skew.abs() < 0.02);
        // 1 − 2·2φ(2) / (2Φ(2) − 1), the variance of the truncated distribution.
        assert!((variance - 0.773_741_3).abs() < 0.01, "{variance}");
        let within = x.iter().filter(|x| x.abs() < 1.0).count() as f64 / x.len() as f64;
        assert!((within - 0.6827 / 0.9545).abs() < 0.004, "{within}");
    }
}
