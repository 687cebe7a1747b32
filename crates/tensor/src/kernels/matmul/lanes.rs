//! A vector of `f32` as the tile kernel needs it, for every instruction set.

/// Loads, stores and multiply-adds of one vector width.
///
/// The methods are unsafe because an implementation may need instructions that not every machine
/// has: they may be called only where [`Isa::detect`](crate::kernels::isa::Isa::detect) found the
/// instruction set, from functions compiled for it.
pub(in crate::kernels) trait Lanes {
    /// Values per vector.
    const COUNT: usize;
    /// A vector.
    type Vector: Copy;
    /// Which lanes a partial load or store touches: the first few.
    type Mask: Copy;

    /// The mask of the first `count` lanes, `count` from 0 to [`COUNT`](Self::COUNT).
    unsafe fn mask(count: usize) -> Self::Mask;
    /// `value` in every lane.
    unsafe fn splat(value: f32) -> Self::Vector;
    /// Reads a whole vector from `from`, which need not be aligned.
    unsafe fn load(from: *const f32) -> Self::Vector;
    /// Reads the lanes of `mask`, and touches no other memory; the other lanes are 0.
    unsafe fn load_masked(from: *const f32, mask: Self::Mask) -> Self::Vector;
    /// Writes a whole vector.
    unsafe fn store(to: *mut f32, value: Self::Vector);
    /// Writes the lanes of `mask`, and touches no other memory.
    unsafe fn store_masked(to: *mut f32, value: Self::Vector, mask: Self::Mask);
    /// `a * b + c`, rounded once where the machine can.
    unsafe fn multiply_add(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// `a + b`.
    unsafe fn add(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// [`math::relu`](crate::kernels::math::relu).
    unsafe fn relu(a: Self::Vector) -> Self::Vector;
    /// The smaller one; `a` where it is NaN.
    unsafe fn at_most(a: Self::Vector, bound: Self::Vector) -> Self::Vector;
}

/// Four lanes in plain Rust, for every target.
pub(in crate::kernels) struct Portable;

// Nothing here depends on the machine, and raw pointers are used as the trait says.
impl Lanes for Portable {
    const COUNT: usize = 4;
    type Vector = [f32; 4];
    type Mask = usize;

    #[inline(always)]
    unsafe fn mask(count: usize) -> usize {
        count
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> [f32; 4] {
        [value; 4]
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> [f32; 4] {
        // SAFETY: the caller passes four readable values; an array of f32 has their alignment.
        unsafe { from.cast::<[f32; 4]>().read() }
    }

    #[inline(always)]
    unsafe fn load_masked(from: *const f32, mask: usize) -> [f32; 4] {
        let mut value = [0.0; 4];
        for (lane, value) in value.iter_mut().enumerate().take(mask) {
            // SAFETY: the caller passes `mask` readable values.
            *value = unsafe { *from.add(lane) };
        }
        value
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, value: [f32; 4]) {
        // SAFETY: the caller passes room for four values.
        unsafe { to.cast::<[f32; 4]>().write(value) }
    }

    #[inline(always)]
    unsafe fn store_masked(to: *mut f32, value: [f32; 4], mask: usize) {
        for (lane, &value) in value.iter().enumerate().take(mask) {
            // SAFETY: the caller passes room for `mask` values.
            unsafe { *to.add(lane) = value };
        }
    }

    #[inline(always)]
    unsafe fn multiply_add(a: [f32; 4], b: [f32; 4], c: [f32; 4]) -> [f32; 4] {
        let mut sum = c;
        for lane in 0..4 {
            sum[lane] = super::multiply_add(a[lane], b[lane], c[lane]);
        }
        sum
    }

    #[inline(always)]
    unsafe fn add(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        let mut sum = a;
        for lane in 0..4 {
            sum[lane] += b[lane];
        }
        sum
    }

    #[inline(always)]
    unsafe fn relu(a: [f32; 4]) -> [f32; 4] {
        a.map(crate::kernels::math::relu)
    }

    #[inline(always)]
    unsafe fn at_most(mut a: [f32; 4], bound: [f32; 4]) -> [f32; 4] {
        for (a, bound) in a.iter_mut().zip(bound) {
            if *a > bound {
                *a = bound;
            }
        }
        a
    }
}

#[cfg(target_arch = "x86_64")]
pub(in crate::kernels) use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    //! In this module every unsafe block calls instructions and dereferences pointers that the
    //! caller of the trait's method vouches for.
    #![allow(clippy::undocumented_unsafe_blocks)]

    use super::Lanes;
    use std::arch::x86_64::*;

    /// Sixteen lanes of AVX-512.
    pub struct Avx512;

    impl Lanes for Avx512 {
        const COUNT: usize = 16;
        type Vector = __m512;
        type Mask = __mmask16;

        #[inline(always)]
        unsafe fn mask(count: usize) -> __mmask16 {
            ((1u32 << count) - 1) as __mmask16
        }

        #[inline(always)]
        unsafe fn splat(value: f32) -> __m512 {
            unsafe { _mm512_set1_ps(value) }
        }

        #[inline(always)]
        unsafe fn load(from: *const f32) -> __m512 {
            unsafe { _mm512_loadu_ps(from) }
        }

        #[inline(always)]
        unsafe fn load_masked(from: *const f32, mask: __mmask16) -> __m512 {
            unsafe { _mm512_maskz_loadu_ps(mask, from) }
        }

        #[inline(always)]
        unsafe fn store(to: *mut f32, value: __m512) {
            unsafe { _mm512_storeu_ps(to, value) }
        }

        #[inline(always)]
        unsafe fn store_masked(to: *mut f32, value: __m512, mask: __mmask16) {
            unsafe { _mm512_mask_storeu_ps(to, mask, value) }
        }

        #[inline(always)]
        unsafe fn multiply_add(a: __m512, b: __m512, c: __m512) -> __m512 {
            unsafe { _mm512_fmadd_ps(a, b, c) }
        }

        #[inline(always)]
        unsafe fn add(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_add_ps(a, b) }
        }

        #[inline(always)]
        unsafe fn relu(a: __m512) -> __m512 {
            // The instruction returns its second operand where one is NaN or both are zero, which
            // is what `math::relu` does.
            unsafe { _mm512_max_ps(_mm512_setzero_ps(), a) }
        }

        #[inline(always)]
        unsafe fn at_most(a: __m512, bound: __m512) -> __m512 {
            // The instruction returns its second operand where one is NaN.
            unsafe { _mm512_min_ps(bound, a) }
        }
    }

    /// Eight lanes of AVX2 with FMA.
    pub struct Avx2;

    impl Lanes for Avx2 {
        const COUNT: usize = 8;
        type Vector = __m256;
        type Mask = __m256i;

        #[inline(always)]
        unsafe fn mask(count: usize) -> __m256i {
            unsafe {
                let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
                _mm256_cmpgt_epi32(_mm256_set1_epi32(count as i32), lanes)
            }
        }

        #[inline(always)]
        unsafe fn splat(value: f32) -> __m256 {
            unsafe { _mm256_set1_ps(value) }
        }

        #[inline(always)]
        unsafe fn load(from: *const f32) -> __m256 {
            unsafe { _mm256_loadu_ps(from) }
        }

        #[inline(always)]
        unsafe fn load_masked(from: *const f32, mask: __m256i) -> __m256 {
            unsafe { _mm256_maskload_ps(from, mask) }
        }

        #[inline(always)]
        unsafe fn store(to: *mut f32, value: __m256) {
            unsafe { _mm256_storeu_ps(to, value) }
        }

        #[inline(always)]
        unsafe fn store_masked(to: *mut f32, value: __m256, mask: __m256i) {
            unsafe { _mm256_maskstore_ps(to, mask, value) }
        }

        #[inline(always)]
        unsafe fn multiply_add(a: __m256, b: __m256, c: __m256) -> __m256 {
            unsafe { _mm256_fmadd_ps(a, b, c) }
        }

        #[inline(always)]
        unsafe fn add(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_add_ps(a, b) }
        }

        #[inline(always)]
        unsafe fn relu(a: __m256) -> __m256 {
            // As for AVX-512.
            unsafe { _mm256_max_ps(_mm256_setzero_ps(), a) }
        }

        #[inline(always)]
        unsafe fn at_most(a: __m256, bound: __m256) -> __m256 {
            // The instruction returns its second operand where one is NaN.
            unsafe { _mm256_min_ps(bound, a) }
        }
    }
}
