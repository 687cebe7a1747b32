//! The error function and the inverse of the normal distribution function.

use super::{exp, ln, polynomial, select};

/// Largest error 1.2e-9 on [0, 1]: `erf x ≈ x + x · ERF_CENTRE(x²)`.
const ERF_CENTRE: [f32; 7] = [
    0.12837917,
    -0.37612626,
    0.112836,
    -0.026854444,
    0.0051895357,
    -0.0008020842,
    0.00007889123,
];

/// Largest error of the result 2.1e-11 on [1, 4]: `erf x ≈ 1 − exp(−ERF_TAIL(x))`.
const ERF_TAIL: [f32; 8] = [
    -0.00018803705,
    1.1295784,
    0.6332199,
    0.108418554,
    -0.02520824,
    0.0042045563,
    -0.00044133532,
    0.000021686763,
];

/// Error function `2/√π ∫₀ˣ exp(−t²) dt`; 2 ulp, absolute error at most 1.2e-7.
#[inline(always)]
pub fn erf(x: f32) -> f32 {
    let magnitude = x.abs();
    // Beyond 4 it is 1 to the last place. (Written so that NaN stays.)
    let magnitude = select(magnitude > 4.0, 4.0, magnitude);
    let centre = magnitude + magnitude * polynomial(ERF_CENTRE, magnitude * magnitude);
    let tail = 1.0 - exp(-polynomial(ERF_TAIL, magnitude));
    select(magnitude < 1.0, centre, tail).copysign(x)
}

/// `erfinv x / x` of `w = −ln(1 − x²)` less 2.5, for w below 5, and of `√w` less 3 (Giles: "Approximating the
/// erfinv function").
const ERFINV_CENTRE: [f32; 9] = [
    1.5014094,
    0.24664073,
    -0.0041776816,
    -0.001253725,
    0.00021858087,
    -0.0000043915065,
    -0.0000035233877,
    0.00000034327394,
    0.000000028102264,
];
const ERFINV_TAIL: [f32; 9] = [
    2.8329768,
    1.001674,
    0.0094388705,
    -0.0076224613,
    0.0057395077,
    -0.0036734284,
    0.0013493432,
    0.00010095056,
    -0.00020021426,
];

/// The number whose error function is x; 8 ulp. ±∞ at ±1, NaN beyond.
#[inline(always)]
pub fn erfinv(x: f32) -> f32 {
    let w = -ln((1.0 - x) * (1.0 + x));
    let factor = select(
        w < 5.0,
        polynomial(ERFINV_CENTRE, w - 2.5),
        polynomial(ERFINV_TAIL, w.sqrt() - 3.0),
    );
    select(x.abs() == 1.0, f32::INFINITY.copysign(x), x * factor)
}

/// Probability of a normal number to lie within ±2: erf(√2).
const WITHIN_TWO: f32 = 0.954_499_7;

/// Largest error 5.7e-9: quantile of `u` over `u`, of `−ln(1 − (u · erf √2)²)`.
const QUANTILE: [f32; 8] = [
    1.196288,
    0.31318778,
    0.015587498,
    -0.0031437052,
    -0.0001860927,
    0.000074063246,
    -0.0000021699016,
    -0.00000047602165,
];

/// The normal number `z` in [−2, 2] for which the part `(1 + u) / 2` of those within ±2 lies
/// below, for `u` in [−1, 1]; absolute error at most 2e-6.
#[inline(always)]
pub(crate) fn central_normal_quantile(u: f32) -> f32 {
    let y = u * WITHIN_TWO;
    let z = u * polynomial(QUANTILE, -ln((1.0 - y) * (1.0 + y)));
    let z = select(z > 2.0, 2.0, z);
    select(z < -2.0, -2.0, z)
}

#[cfg(test)]
mod tests {
    use super::super::tests::largest_error;
    use super::*;

    /// The error function in double precision by its Taylor series, for `|x| ≤ 6`.
    fn exact(x: f64) -> f64 {
        if x.abs() > 6.0 {
            return x.signum();
        }
        // erf x = 2/√π · exp(−x²) · Σ 2ⁿ x²ⁿ⁺¹ / (2n + 1)!!, all of one sign.
        let (mut term, mut sum) = (x, 0.0);
        for n in 1..400 {
            sum += term;
            term *= 2.0 * x * x / f64::from(2 * n + 1);
        }
        sum * (-x * x).exp() * std::f64::consts::FRAC_2_SQRT_PI
    }

    #[test]
    fn errors_are_as_stated() {
        let worst = largest_error(erf, exact, -1e30, 1e30);
        assert!(worst <= 2.0, "{worst}");
        let mut absolute = 0.0f64;
        for i in -50_000..=50_000 {
            let x = i as f32 / 10_000.0;
            absolute = absolute.max((f64::from(erf(x)) - exact(f64::from(x))).abs());
        }
        assert!(absolute <= 1.2e-7, "{absolute}");
        assert!(erf(f32::NAN).is_nan());
        assert_eq!(erf(f32::INFINITY), 1.0);
    }

    #[test]
    fn the_inverse_leads_back() {
        for i in -9999..=9999 {
            let x = i as f32 / 10_000.0;
            let y = f64::from(erfinv(x));
            let slope = std::f64::consts::FRAC_2_SQRT_PI * (-y * y).exp();
            let error = (exact(y) - f64::from(x)) / slope;
            assert!(
                error.abs() <= 1e-6 * y.abs(),
                "erfinv {x}: {y}, off by {error}"
            );
        }
        assert_eq!(erfinv(-1.0), f32::NEG_INFINITY);
        assert!(erfinv(1.5).is_nan() && erfinv(f32::NAN).is_nan());
    }

    #[test]
    fn the_quantile_inverts_the_distribution() {
        for i in -1000..=1000 {
            let u = f64::from(i) / 1000.0;
            let z = f64::from(central_normal_quantile(u as f32));
            let back = exact(z / std::f64::consts::SQRT_2) / exact(std::f64::consts::SQRT_2);
            // The density of a truncated normal number is at least 0.11 here.
            assert!((back - u).abs() < 4e-7, "{u}: {z}");
        }
    }
}
