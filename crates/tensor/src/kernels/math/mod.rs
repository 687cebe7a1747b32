//! Scalar functions that compile into vector loops: no branches, no calls, no tables.
//!
//! Pass them to [`elementwise::map`](super::elementwise::map) or use them within closures. They are
//! written with single multiplications and additions (nothing is fused), so that they give the same
//! bits on every machine. The errors that they state are the largest that the tests meet on a sweep
//! of all magnitudes, in units of the last place (ulp) of the exact result.

mod activation;
mod error_function;
mod exponential;
mod logarithm;

pub use activation::{elu, gelu, gelu_tanh, leaky_relu, relu, relu6, silu};
pub(crate) use error_function::central_normal_quantile;
pub use error_function::{erf, erfinv};
pub use exponential::{exp, expm1, sigmoid, softplus, tanh};
pub use logarithm::{ln, log1p};

/// `a` where `condition` holds, else `b`. Both are computed: a branch would keep the loop around it
/// from becoming vector code.
#[inline(always)]
pub(crate) fn select(condition: bool, a: f32, b: f32) -> f32 {
    std::hint::select_unpredictable(condition, a, b)
}

/// `√x`, correctly rounded.
#[inline(always)]
pub fn sqrt(x: f32) -> f32 {
    x.sqrt()
}

/// `1 / √x`; 1.5 ulp.
#[inline(always)]
pub fn rsqrt(x: f32) -> f32 {
    1.0 / x.sqrt()
}

/// `sin x` of the platform's mathematical library: not vectorised.
#[inline(always)]
pub fn sin(x: f32) -> f32 {
    x.sin()
}

/// `cos x` of the platform's mathematical library: not vectorised.
#[inline(always)]
pub fn cos(x: f32) -> f32 {
    x.cos()
}

/// `x` to the power `y`, of the platform's mathematical library: not vectorised.
#[inline(always)]
pub fn pow(x: f32, y: f32) -> f32 {
    x.powf(y)
}

/// Adding and subtracting this rounds a number below 2²² to a whole one, ties to even.
const ROUNDER: f32 = 12_582_912.0;

/// `x` rounded to a whole number, ties to even, for `|x| < 2²²`.
#[inline(always)]
pub(crate) fn round(x: f32) -> f32 {
    (x + ROUNDER) - ROUNDER
}

/// [`round`] as a float and as an integer.
#[inline(always)]
fn round_to_integer(x: f32) -> (f32, i32) {
    let shifted = x + ROUNDER;
    // The sum's last bits are the whole number. (`as i32` would add checks for NaN and size.)
    let integer = shifted.to_bits().wrapping_sub(ROUNDER.to_bits()) as i32;
    (shifted - ROUNDER, integer)
}

/// 2ⁿ for `n` from −126 to 127.
#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) as u32) << 23)
}

/// `c[0] + c[1] x + c[2] x² + …`.
#[inline(always)]
fn polynomial<const N: usize>(c: [f32; N], x: f32) -> f32 {
    let mut value = c[N - 1];
    let mut n = N - 1;
    while n > 0 {
        n -= 1;
        value = value * x + c[n];
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest error of `f` in ulp against `exact`, over every `step`-th float of a range.
    pub(super) fn largest_error(
        f: impl Fn(f32) -> f32,
        exact: impl Fn(f64) -> f64,
        low: f32,
        high: f32,
    ) -> f64 {
        let mut worst = 0.0f64;
        let mut bits = 0u32;
        while bits < f32::INFINITY.to_bits() {
            let magnitude = f32::from_bits(bits);
            for x in [magnitude, -magnitude] {
                if (low..=high).contains(&x) {
                    worst = worst.max(error(f(x), exact(f64::from(x)), x));
                }
            }
            bits += 20_011;
        }
        worst
    }

    fn error(received: f32, expected: f64, x: f32) -> f64 {
        let nearest = expected as f32;
        if !nearest.is_finite() || !received.is_finite() {
            // Overflow may come one ulp early or late.
            let huge = |x: f64| x.is_infinite() || x.abs() >= 3.402_823e38;
            let same = nearest.is_nan() && received.is_nan();
            let both = huge(expected) && huge(f64::from(received));
            assert!(same || both, "f({x}) = {received}, not {expected}");
            return 0.0;
        }
        let exponent = nearest.abs().max(f32::MIN_POSITIVE).to_bits() >> 23;
        let ulp = 2f64.powi(exponent as i32 - 127 - 23);
        (f64::from(received) - expected).abs() / ulp
    }

    #[test]
    fn rounding_is_to_even() {
        for (x, expected) in [
            (0.5, 0.0),
            (1.5, 2.0),
            (-2.5, -2.0),
            (-0.7, -1.0),
            (1e5, 1e5),
        ] {
            assert_eq!(round(x), expected);
            assert_eq!(round_to_integer(x), (expected, expected as i32));
        }
    }

    #[test]
    fn rsqrt_errs_as_stated() {
        let worst = largest_error(rsqrt, |x| 1.0 / x.sqrt(), 1e-37, f32::MAX);
        assert!(worst <= 1.5, "{worst}");
    }
}
