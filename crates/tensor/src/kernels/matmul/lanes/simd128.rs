//! The vectors of WebAssembly: four lanes. Products are rounded before they are added, as the portable loops do it:
//! `relaxed-simd` leaves to the engine whether a multiply-add is fused, so its bytes would not be the same everywhere.

use std::arch::wasm32::*;

use super::Lanes;
use crate::kernels::isa::Simd128;

// Panels packed with these lanes are read by the exact mode's, too.
const _: () = assert!(<Simd128 as Lanes>::COUNT == <super::Exact as Lanes>::COUNT);

impl Lanes for Simd128 {
    const COUNT: usize = 4;
    type Vector = v128;
    type Mask = usize;

    #[inline(always)]
    fn mask(self, count: usize) -> usize {
        count
    }

    #[inline(always)]
    fn splat(self, value: f32) -> v128 {
        f32x4_splat(value)
    }

    #[inline(always)]
    fn multiply_add(self, a: v128, b: v128, c: v128) -> v128 {
        f32x4_add(f32x4_mul(a, b), c)
    }

    #[inline(always)]
    fn add(self, a: v128, b: v128) -> v128 {
        f32x4_add(a, b)
    }

    #[inline(always)]
    fn subtract(self, a: v128, b: v128) -> v128 {
        f32x4_sub(a, b)
    }

    // The pseudo-maximum and -minimum keep their first operand unless the second is beyond it, so NaN and the
    // sign of zero too, as `math::relu` does.
    #[inline(always)]
    fn relu(self, a: v128) -> v128 {
        f32x4_pmax(a, f32x4_splat(0.0))
    }

    #[inline(always)]
    fn at_most(self, a: v128, bound: v128) -> v128 {
        f32x4_pmin(a, bound)
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> v128 {
        // SAFETY: the caller passes four readable values; the instruction takes any alignment.
        unsafe { v128_load(from.cast()) }
    }

    #[inline(always)]
    unsafe fn load_masked(self, from: *const f32, mask: usize) -> v128 {
        // SAFETY: the caller passes `mask` readable values, and each arm reads as many as it is for.
        unsafe {
            match mask {
                0 => f32x4_splat(0.0),
                1 => v128_load32_zero(from.cast()),
                2 => v128_load64_zero(from.cast()),
                3 => {
                    let two = v128_load64_zero(from.cast());
                    v128_load32_lane::<2>(two, from.add(2).cast())
                }
                _ => v128_load(from.cast()),
            }
        }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32, value: v128) {
        // SAFETY: the caller passes room for four values.
        unsafe { v128_store(to.cast(), value) }
    }

    #[inline(always)]
    unsafe fn store_masked(self, to: *mut f32, value: v128, mask: usize) {
        // SAFETY: the caller passes room for `mask` values, and each arm writes as many as it is for.
        unsafe {
            match mask {
                0 => {}
                1 => v128_store32_lane::<0>(value, to.cast()),
                2 => v128_store64_lane::<0>(value, to.cast()),
                3 => {
                    v128_store64_lane::<0>(value, to.cast());
                    v128_store32_lane::<2>(value, to.add(2).cast());
                }
                _ => v128_store(to.cast(), value),
            }
        }
    }
}
