//! The exponential function and what is made of it.

use super::{log1p, polynomial, power_of_two, round_to_integer, select};

/// Largest weighted error 3.1e-9 on ±ln 2 / 2; from `fixtures/kernel_polynomials.py`, as all
/// polynomials here: `eʳ ≈ 1 + r + r² · EXP(r)`.
const EXP: [f32; 5] = [0.5, 0.16666518, 0.041666206, 0.008368954, 0.0013950602];

/// ln 2 in two parts; the first has so few bits that its product with an exponent is exact.
pub(super) const LN_2_HIGH: f32 = 355.0 / 512.0;
pub(super) const LN_2_LOW: f32 = -2.121_944_4e-4;

/// `x = n ln 2 + r` with `|r| ≤ ln 2 / 2`: returns `n` and `eʳ − 1`.
#[inline(always)]
fn reduced(x: f32) -> (i32, f32) {
    let (n, integer) = round_to_integer(x * std::f32::consts::LOG2_E);
    let r = (x - n * LN_2_HIGH) - n * LN_2_LOW;
    (integer, r * r * polynomial(EXP, r) + r)
}

/// `min(max(x, low), high)`, and NaN for NaN.
#[inline(always)]
fn clamp(x: f32, low: f32, high: f32) -> f32 {
    let x = select(x < low, low, x);
    select(x > high, high, x)
}

/// `eˣ`; 1 ulp, subnormal results included.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    let (n, rest) = reduced(clamp(x, -104.0, 89.0));
    // In two steps, because 2ⁿ alone may leave the range of normal numbers.
    let half = n >> 1;
    (rest + 1.0) * power_of_two(half) * power_of_two(n.wrapping_sub(half))
}

/// `eˣ − 1`, exact to the last places also near 0; 2 ulp.
#[inline(always)]
pub fn expm1(x: f32) -> f32 {
    let (n, rest) = reduced(clamp(x, -18.0, 89.0));
    let half = power_of_two(n.wrapping_sub(1));
    let value = (rest * half + (half - 0.5)) * 2.0;
    // Below, eˣ − 1 is x to the last place, and halving would lose bits of a subnormal.
    select(x.abs() < 1e-30, x, value)
}

/// Hyperbolic tangent; 3 ulp.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    let double = expm1(clamp(2.0 * x.abs(), 0.0, 20.0));
    (double / (double + 2.0)).copysign(x)
}

/// Logistic function `1 / (1 + e⁻ˣ)`; 3 ulp, for results far from 1 too.
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    let e = exp(-x.abs());
    select(x >= 0.0, 1.0, e) / (1.0 + e)
}

/// `ln(1 + eˣ)`; 2 ulp.
#[inline(always)]
pub fn softplus(x: f32) -> f32 {
    select(x < 0.0, 0.0, x) + log1p(exp(-x.abs()))
}

#[cfg(test)]
mod tests {
    use super::super::tests::largest_error;
    use super::*;

    #[test]
    fn errors_are_as_stated() {
        let all = (f32::NEG_INFINITY, f32::INFINITY);
        let softplus_64 = |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p();
        let sigmoid_64 = |x: f64| 1.0 / (1.0 + (-x).exp());
        let errors = [
            ("exp", largest_error(exp, f64::exp, all.0, all.1), 1.0),
            (
                "expm1",
                largest_error(expm1, f64::exp_m1, all.0, all.1),
                2.0,
            ),
            ("tanh", largest_error(tanh, f64::tanh, all.0, all.1), 3.0),
            (
                "sigmoid",
                largest_error(sigmoid, sigmoid_64, all.0, all.1),
                3.0,
            ),
            (
                "softplus",
                largest_error(softplus, softplus_64, all.0, all.1),
                2.0,
            ),
        ];
        for (name, error, stated) in errors {
            assert!(error <= stated, "{name}: {error}");
        }
    }

    #[test]
    fn ends_are_exact() {
        assert_eq!(exp(f32::INFINITY), f32::INFINITY);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(expm1(f32::NEG_INFINITY), -1.0);
        assert_eq!(tanh(f32::INFINITY), 1.0);
        assert_eq!(tanh(-30.0), -1.0);
        assert_eq!(sigmoid(f32::NEG_INFINITY), 0.0);
        assert_eq!(sigmoid(0.0), 0.5);
        assert_eq!(softplus(f32::INFINITY), f32::INFINITY);
        for f in [exp, expm1, tanh, sigmoid, softplus] {
            assert!(f(f32::NAN).is_nan());
        }
    }
}
