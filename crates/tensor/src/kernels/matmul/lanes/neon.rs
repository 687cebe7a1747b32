//! The vectors of 64-bit ARM: four lanes, and 32 registers of them.

use std::arch::aarch64::*;

use super::lanes;
use crate::kernels::isa::Neon;

// Comparing and selecting, since the instructions for maximum and minimum give NaN where one operand is NaN and
// order zeros by their sign; `math::relu` and `at_most` keep what is not on the other side of the bound.
lanes! {
    Neon, 4, float32x4_t, usize;
    fn mask(count: usize) -> usize = count;
    fn splat(value: f32) -> float32x4_t = vdupq_n_f32(value);
    fn multiply_add(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t = vfmaq_f32(c, a, b);
    fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t = vaddq_f32(a, b);
    fn subtract(a: float32x4_t, b: float32x4_t) -> float32x4_t = vsubq_f32(a, b);
    fn relu(a: float32x4_t) -> float32x4_t = vbslq_f32(vcltzq_f32(a), vdupq_n_f32(0.0), a);
    fn at_most(a: float32x4_t, bound: float32x4_t) -> float32x4_t = vbslq_f32(vcgtq_f32(a, bound), bound, a);
    unsafe fn load(from: *const f32) -> float32x4_t = vld1q_f32(from);
    unsafe fn load_masked(from: *const f32, mask: usize) -> float32x4_t = load_first(from, mask);
    unsafe fn store(to: *mut f32, value: float32x4_t) -> () = vst1q_f32(to, value);
    unsafe fn store_masked(to: *mut f32, value: float32x4_t, mask: usize) -> () = store_first(to, value, mask);
}

/// The first `count` values, and zeros.
///
/// # Safety
/// `count` values from `from` on must be readable.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn load_first(from: *const f32, count: usize) -> float32x4_t {
    let zeros = vdupq_n_f32(0.0);
    // SAFETY: each arm reads as many values as it is for.
    unsafe {
        match count {
            0 => zeros,
            1 => vld1q_lane_f32::<0>(from, zeros),
            2 => vcombine_f32(vld1_f32(from), vdup_n_f32(0.0)),
            3 => {
                let two = vcombine_f32(vld1_f32(from), vdup_n_f32(0.0));
                vld1q_lane_f32::<2>(from.add(2), two)
            }
            _ => vld1q_f32(from),
        }
    }
}

/// Writes the first `count` values.
///
/// # Safety
/// There must be room for `count` values from `to` on.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn store_first(to: *mut f32, value: float32x4_t, count: usize) {
    // SAFETY: each arm writes as many values as it is for.
    unsafe {
        match count {
            0 => {}
            1 => vst1q_lane_f32::<0>(to, value),
            2 => vst1_f32(to, vget_low_f32(value)),
            3 => {
                vst1_f32(to, vget_low_f32(value));
                vst1q_lane_f32::<2>(to.add(2), value);
            }
            _ => vst1q_f32(to, value),
        }
    }
}
