//! Exponential and logarithm with the same bits on every machine (those of the platform differ), and softmax.

use std::f64::consts::{LN_2, LOG2_E};

/// eˣ, within 2 units in the last place; 0 below −708 and finite above 708.
#[inline(always)]
pub(crate) fn exp(x: f64) -> f64 {
    // Adding and taking away 1.5·2⁵² rounds to the nearest whole number.
    const ROUND: f64 = 6755399441055744.0;
    const LN_2_HIGH: f64 = f64::from_bits(0x3FE6_2E42_FEE0_0000);
    const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    let clamped = x.clamp(-708.0, 708.0);
    let whole = (clamped * LOG2_E + ROUND) - ROUND;
    let r = (clamped - whole * LN_2_HIGH) - whole * LN_2_LOW;
    // Taylor's series; |r| ≤ ln 2 / 2.
    const FACTORS: [f64; 14] = [
        1.0,
        1.0,
        1.0 / 2.0,
        1.0 / 6.0,
        1.0 / 24.0,
        1.0 / 120.0,
        1.0 / 720.0,
        1.0 / 5_040.0,
        1.0 / 40_320.0,
        1.0 / 362_880.0,
        1.0 / 3_628_800.0,
        1.0 / 39_916_800.0,
        1.0 / 479_001_600.0,
        1.0 / 6_227_020_800.0,
    ];
    let mut sum = FACTORS[13];
    for factor in FACTORS[..13].iter().rev() {
        sum = sum * r + factor;
    }
    let power = f64::from_bits(((whole as i64 + 1023) as u64) << 52);
    if x < -708.0 { 0.0 } else { sum * power }
}

/// The natural logarithm of a positive normal number, within 2 units in the last place.
#[inline(always)]
pub(crate) fn ln(x: f64) -> f64 {
    let bits = x.to_bits();
    // The exponent for which the rest lies between √½ and √2.
    let shifted = bits.wrapping_sub(0x3FE6_A09E_667F_3BCD);
    let exponent = (shifted as i64) >> 52;
    let m = f64::from_bits(bits.wrapping_sub((exponent << 52) as u64));
    // ln m = 2 artanh f
    let f = (m - 1.0) / (m + 1.0);
    let square = f * f;
    let mut sum = 1.0 / 23.0;
    for odd in [21.0, 19.0, 17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0] {
        sum = sum * square + 1.0 / odd;
    }
    exponent as f64 * LN_2 + (2.0 * f + 2.0 * f * (square * sum))
}

/// Scores times `scale` to probabilities, in place. Returns the logarithm of the sum of exponentials.
#[inline(always)]
pub(crate) fn softmax(scores: &mut [f64], scale: f64) -> f64 {
    let largest = scores
        .iter()
        .fold(f64::NEG_INFINITY, |a, &b| a.max(b * scale));
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        *score = exp(*score * scale - largest);
        sum += *score;
    }
    for score in scores.iter_mut() {
        *score /= sum;
    }
    largest + ln(sum)
}

/// The place of the largest number; the first of several.
pub(crate) fn argmax(numbers: &[f64]) -> usize {
    let better =
        |best: usize, (i, &number): (usize, &f64)| if number > numbers[best] { i } else { best };
    numbers.iter().enumerate().fold(0, better)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_and_logarithm_are_those_of_the_platform() {
        for i in -7000..=7000 {
            let x = i as f64 * 0.1003;
            let (ours, theirs) = (exp(x), x.exp());
            assert!(
                (ours - theirs).abs() <= 1e-15 * theirs,
                "{x}: {ours} {theirs}"
            );
            let (ours, theirs) = (ln(theirs), theirs.ln());
            assert!(
                (ours - theirs).abs() <= 1e-15 * theirs.abs().max(0.1),
                "{x}: {ours} {theirs}"
            );
        }
        for i in 1..2000 {
            let x = 0.5 + i as f64 * 1e-3;
            assert!((ln(x) - x.ln()).abs() <= 4e-16, "{x}");
        }
        assert_eq!((exp(0.0), ln(1.0), exp(-1e9)), (1.0, 0.0, 0.0));
    }
}
