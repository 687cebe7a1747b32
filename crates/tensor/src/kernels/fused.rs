//! Fused multiply-adds by software: `a · b + c`, rounded once, where there is no instruction for it.
//!
//! The product of two `f32` is exact in `f64`. Its sum with the third is not: rounded to `f64` and then to `f32` it
//! may differ in the last bit from what is rounded once. So it is *rounded to odd* in between: where a sum is not a
//! number of `f64`, of the two next to it the one whose last bit is 1. Such a number is never half-way between two
//! of `f32`, and lies on the side of the half on which the sum does. That is right if `f64` has two bits more than
//! `f32` at the least; it has 29 (Boldo and Melquiond, *Emulation of a FMA and correctly rounded sums: proved
//! algorithms using rounding to odd*, IEEE Transactions on Computers 57, 2008).
//!
//! Without branches, so that loops over lanes become vector code of `f64`.

/// `c = a · b + c` for four lanes.
///
/// A call, so that the compiler makes vector code of it whatever is around it, and tiles stay short.
#[inline(never)]
pub(in crate::kernels) fn multiply_add_lanes(a: &[f32; 4], b: &[f32; 4], c: &mut [f32; 4]) {
    let sums = std::array::from_fn(
        #[inline(always)]
        |lane| multiply_add(a[lane], b[lane], c[lane]),
    );
    *c = sums;
}

/// `a · b + c`, rounded once: the bits of [`f32::mul_add`], but for which NaN a NaN is.
#[inline(always)]
fn multiply_add(a: f32, b: f32, c: f32) -> f32 {
    // Exact: 48 bits at most, and exponents are far from the ends of `f64`.
    let product = f64::from(a) * f64::from(b);
    let c = f64::from(c);
    let sum = product + c;
    // What rounding took from the sum, exactly (Knuth). NaN if the sum is not finite.
    let of_c = sum - product;
    let missing = (product - (sum - of_c)) + (c - of_c);
    round_to_odd(sum, missing) as f32
}

/// The sum that `nearest + missing` is, rounded to odd, where `nearest` is it rounded to the nearest.
#[inline(always)]
fn round_to_odd(nearest: f64, missing: f64) -> f64 {
    let bits = nearest.to_bits();
    let inexact = u64::from(missing.abs() > 0.0);
    // First towards zero: one less where rounding went away from it. Then the last bit is 1 if anything is missing.
    let away = inexact & ((bits ^ missing.to_bits()) >> 63);
    f64::from_bits((bits - away) | inexact)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn same(a: f32, b: f32, c: f32) -> Result<(), TestCaseError> {
        let (received, expected) = (multiply_add(a, b, c), a.mul_add(b, c));
        let both_nan = received.is_nan() && expected.is_nan();
        prop_assert!(
            both_nan || received.to_bits() == expected.to_bits(),
            "{a:e} · {b:e} + {c:e}: {received:e}, not {expected:e}"
        );
        Ok(())
    }

    /// Numbers of any size whose products often end at, or just beside, half a last place: few bits at the ends.
    fn number() -> impl Strategy<Value = f32> {
        let fraction = prop_oneof![
            any::<u32>(),
            Just(0),
            Just(1),
            Just(0x7f_ffff),
            Just(0x40_0000),
            (0u32..23, 0u32..23).prop_map(|(i, j)| 1 << i | 1 << j),
            (0u32..23).prop_map(|i| (1 << i) - 1),
        ];
        // Subnormal, and the ends of the range, more often than by chance.
        let exponent = prop_oneof![0u32..256, 0u32..3, 120u32..134, 250u32..256];
        (fraction, exponent, any::<bool>()).prop_map(|(fraction, exponent, negative)| {
            f32::from_bits(u32::from(negative) << 31 | exponent << 23 | fraction & 0x7f_ffff)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 200 } else { 20_000 }))]

        #[test]
        fn any_numbers_have_the_bits_of_the_instruction(a: u32, b: u32, c: u32) {
            same(f32::from_bits(a), f32::from_bits(b), f32::from_bits(c))?;
        }

        #[test]
        fn hard_numbers_do(a in number(), b in number(), c in number()) {
            same(a, b, c)?;
        }

        /// The third number cancels the product, all of it or all but a few last places.
        #[test]
        fn cancellation_does(a in number(), b in number(), places in -3i32..4) {
            let product = -(a * b);
            let c = f32::from_bits((product.to_bits() as i32).wrapping_add(places) as u32);
            same(a, b, c)?;
        }

        /// The third number has half a last place, or almost, of the product: `2⁻²⁴` of it and thereabouts; or the
        /// product of the third number.
        #[test]
        fn ties_do(a in number(), b in number(), places in -30i32..30, bits in -2i32..3) {
            let half = (a * b) * 2f32.powi(places);
            same(a, b, f32::from_bits((half.to_bits() as i32).wrapping_add(bits) as u32))?;
        }

        /// Results around the smallest numbers, where fewer bits are left.
        #[test]
        fn subnormal_results_do(a in number(), places in 100i32..160, c in 0u32..0x100_0000) {
            let a = f32::from_bits(a.to_bits() & 0x807f_ffff | 0x3f80_0000);
            let b = (2f64.powi(-places)) as f32;
            same(a, b, f32::from_bits(c))?;
            same(a, b, -f32::from_bits(c))?;
        }
    }

    /// One for each thing that can go wrong.
    #[test]
    fn known_cases_are_right() {
        let tiny = f32::from_bits(1);
        let epsilon = f32::EPSILON;
        for (a, b, c) in [
            // ε / 2 less 2⁻⁷⁰, so that 1 + ε is nearest; rounded to f64 first it is a tie, which goes to 1 + 2 ε.
            (
                2f32.powi(-12) * (1.0 + epsilon),
                2f32.powi(-12) * (1.0 - epsilon),
                1.0 + epsilon,
            ),
            (2f32.powi(-50), 2f32.powi(-49), 1.0 + epsilon),
            (1.0 + epsilon, 1.0 + epsilon, -1.0),
            (f32::MAX, 2.0, -f32::MAX),
            (f32::MAX, f32::MAX, f32::NEG_INFINITY),
            (f32::MAX, 1.0, f32::MAX * 2f32.powi(-25)),
            (f32::MAX, 1.0, f32::MAX * 2f32.powi(-24)),
            (tiny, 0.5, 0.0),
            (tiny, -0.5, 0.0),
            (tiny, 0.5, tiny),
            (tiny, tiny, f32::MIN_POSITIVE),
            (tiny, -tiny, f32::MIN_POSITIVE),
            (0.0, -1.0, 0.0),
            (0.0, -1.0, -0.0),
            (3.0, 5.0, -15.0),
            (f32::INFINITY, 0.0, 1.0),
            (f32::INFINITY, 1.0, f32::NEG_INFINITY),
            (f32::INFINITY, -1.0, 1.0),
            (f32::NAN, 1.0, 1.0),
            (1.0, 1.0, f32::NAN),
        ] {
            same(a, b, c).unwrap();
        }
    }
}
