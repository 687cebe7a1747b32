//! Natural logarithms.

use super::exponential::{LN_2_HIGH, LN_2_LOW};
use super::{polynomial, select};

/// Largest weighted error 7.3e-10 on [√½ − 1, √2 − 1]: `ln(1 + f) ≈ f − f² / 2 + f³ · LN(f)`.
const LN: [f32; 9] = [
    0.3333331,
    -0.24999987,
    0.20002227,
    -0.1666925,
    0.14218655,
    -0.12384368,
    0.11873021,
    -0.11789712,
    0.06915156,
];

/// The bits of √½.
const SQRT_HALF: u32 = 0x3f35_04f3;

/// `ln x + correction` for positive finite `x`.
#[inline(always)]
fn positive(x: f32, correction: f32) -> f32 {
    let subnormal = x < f32::MIN_POSITIVE;
    let scaled = select(subnormal, x * 8_388_608.0, x);
    let shift = select(subnormal, -23.0, 0.0);
    // x = 2ᵉ (1 + f) with 1 + f between √½ and √2.
    let bits = scaled.to_bits();
    let exponent = (bits.wrapping_sub(SQRT_HALF) as i32) >> 23;
    let f = f32::from_bits(bits.wrapping_sub((exponent as u32) << 23)) - 1.0;
    let e = exponent as f32 + shift;
    let rest = f * f * f * polynomial(LN, f) + (e * LN_2_LOW + correction) - 0.5 * (f * f);
    (f + rest) + e * LN_2_HIGH
}

/// Natural logarithm; 1 ulp. −∞ at 0, NaN below.
#[inline(always)]
pub fn ln(x: f32) -> f32 {
    let value = select(x < f32::INFINITY, positive(x, 0.0), x);
    let value = select(x == 0.0, f32::NEG_INFINITY, value);
    select(x < 0.0, f32::NAN, value)
}

/// `ln(1 + x)`, exact to the last places also near 0; 2 ulp. −∞ at −1, NaN below.
#[inline(always)]
pub fn log1p(x: f32) -> f32 {
    let u = 1.0 + x;
    // What the sum lost, relative to it.
    let lost = (x - (u - 1.0)) / u;
    let value = select(x < f32::INFINITY, positive(u, lost), x);
    let value = select(x.abs() < 1e-30, x, value);
    let value = select(x == -1.0, f32::NEG_INFINITY, value);
    select(x < -1.0, f32::NAN, value)
}

#[cfg(test)]
mod tests {
    use super::super::tests::largest_error;
    use super::*;

    #[test]
    fn errors_are_as_stated() {
        let worst = largest_error(ln, f64::ln, f32::NEG_INFINITY, f32::INFINITY);
        assert!(worst <= 1.0, "{worst}");
        let worst = largest_error(log1p, f64::ln_1p, f32::NEG_INFINITY, f32::INFINITY);
        assert!(worst <= 2.0, "{worst}");
    }

    #[test]
    fn ends_are_exact() {
        assert_eq!(ln(1.0), 0.0);
        assert_eq!(ln(0.0), f32::NEG_INFINITY);
        assert_eq!(ln(f32::INFINITY), f32::INFINITY);
        assert!(ln(-1e-30).is_nan() && ln(f32::NEG_INFINITY).is_nan() && ln(f32::NAN).is_nan());
        assert_eq!(log1p(-1.0), f32::NEG_INFINITY);
        assert_eq!(log1p(f32::INFINITY), f32::INFINITY);
        assert_eq!(log1p(1e-40), 1e-40);
        assert!(log1p(-1.5).is_nan() && log1p(f32::NAN).is_nan());
    }
}
