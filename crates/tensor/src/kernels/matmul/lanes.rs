//! A vector of `f32` as the tile kernel needs it, for every instruction set.

#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod simd128;

use crate::kernels::fused;

/// Loads, stores and multiply-adds of one vector width.
///
/// An implementation is a token: a value of it exists only where the machine has the instructions, so
/// that arithmetic is safe. They become single instructions in functions compiled for the token.
pub(in crate::kernels) trait Lanes: Copy {
    /// Values per vector.
    const COUNT: usize;
    /// A vector.
    type Vector: Copy;
    /// Which lanes a partial load or store touches: the first few.
    type Mask: Copy;

    /// The mask of the first `count` lanes, `count` from 0 to [`COUNT`](Self::COUNT).
    fn mask(self, count: usize) -> Self::Mask;
    /// `value` in every lane.
    fn splat(self, value: f32) -> Self::Vector;
    /// `a * b + c`, rounded once where the machine can.
    fn multiply_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// `a + b`.
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a - b`.
    fn subtract(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// [`math::relu`](crate::kernels::math::relu).
    fn relu(self, a: Self::Vector) -> Self::Vector;
    /// The smaller one; `a` where it is NaN.
    fn at_most(self, a: Self::Vector, bound: Self::Vector) -> Self::Vector;
    /// Reads a whole vector, which need not be aligned.
    ///
    /// # Safety
    /// [`COUNT`](Self::COUNT) values from `from` on must be readable.
    unsafe fn load(self, from: *const f32) -> Self::Vector;
    /// Reads the lanes of `mask`, and touches no other memory; the other lanes are 0.
    ///
    /// # Safety
    /// As many values from `from` on as `mask` has lanes must be readable.
    unsafe fn load_masked(self, from: *const f32, mask: Self::Mask) -> Self::Vector;
    /// Writes a whole vector.
    ///
    /// # Safety
    /// [`COUNT`](Self::COUNT) values from `to` on must be writable, and nobody else's.
    unsafe fn store(self, to: *mut f32, value: Self::Vector);
    /// Writes the lanes of `mask`, and touches no other memory.
    ///
    /// # Safety
    /// As many values from `to` on as `mask` has lanes must be writable, and nobody else's.
    unsafe fn store_masked(self, to: *mut f32, value: Self::Vector, mask: Self::Mask);
}

/// Evaluates an expression with the lanes of an instruction set, compiled for it.
macro_rules! with_lanes {
    ($isa:expr, |$lanes:ident| $work:expr) => {
        match $isa {
            #[cfg(target_arch = "x86_64")]
            $crate::kernels::isa::Isa::Avx512($lanes) => $lanes.run(
                #[inline(always)]
                || $work,
            ),
            #[cfg(target_arch = "x86_64")]
            $crate::kernels::isa::Isa::Avx2($lanes) => $lanes.run(
                #[inline(always)]
                || $work,
            ),
            #[cfg(target_arch = "aarch64")]
            $crate::kernels::isa::Isa::Neon($lanes) => $work,
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            $crate::kernels::isa::Isa::Simd128($lanes) => $work,
            $crate::kernels::isa::Isa::Exact => {
                let $lanes = $crate::kernels::matmul::lanes::Exact {};
                $work
            }
            _ => {
                let $lanes = $crate::kernels::matmul::lanes::Portable {};
                $work
            }
        }
    };
}
pub(in crate::kernels) use with_lanes;

/// Four lanes in plain Rust, for every target; multiply-adds as the target has them, or fused by software.
#[derive(Clone, Copy)]
pub(in crate::kernels) struct Plain<const BY_SOFTWARE: bool>;

/// Multiply-adds as the target has them.
pub(in crate::kernels) type Portable = Plain<false>;
/// Multiply-adds [fused by software](crate::kernels::fused).
pub(in crate::kernels) type Exact = Plain<true>;

impl<const BY_SOFTWARE: bool> Lanes for Plain<BY_SOFTWARE> {
    const COUNT: usize = 4;
    type Vector = [f32; 4];
    type Mask = usize;

    #[inline(always)]
    fn mask(self, count: usize) -> usize {
        count
    }

    #[inline(always)]
    fn splat(self, value: f32) -> [f32; 4] {
        [value; 4]
    }

    #[inline(always)]
    fn multiply_add(self, a: [f32; 4], b: [f32; 4], c: [f32; 4]) -> [f32; 4] {
        if BY_SOFTWARE {
            let mut sums = c;
            fused::multiply_add_lanes(&a, &b, &mut sums);
            return sums;
        }
        std::array::from_fn(
            #[inline(always)]
            |lane| super::multiply_add(a[lane], b[lane], c[lane]),
        )
    }

    #[inline(always)]
    fn add(self, a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(
            #[inline(always)]
            |lane| a[lane] + b[lane],
        )
    }

    #[inline(always)]
    fn subtract(self, a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(
            #[inline(always)]
            |lane| a[lane] - b[lane],
        )
    }

    #[inline(always)]
    fn relu(self, a: [f32; 4]) -> [f32; 4] {
        a.map(crate::kernels::math::relu)
    }

    #[inline(always)]
    fn at_most(self, a: [f32; 4], bound: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(
            #[inline(always)]
            |lane| {
                if a[lane] > bound[lane] {
                    bound[lane]
                } else {
                    a[lane]
                }
            },
        )
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> [f32; 4] {
        // SAFETY: the caller passes four readable values; an array of f32 has their alignment.
        unsafe { from.cast::<[f32; 4]>().read() }
    }

    #[inline(always)]
    unsafe fn load_masked(self, from: *const f32, mask: usize) -> [f32; 4] {
        let mut value = [0.0; 4];
        for (lane, value) in value.iter_mut().enumerate().take(mask) {
            // SAFETY: `lane < mask`, and the caller passes `mask` readable values.
            *value = unsafe { *from.add(lane) };
        }
        value
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32, value: [f32; 4]) {
        // SAFETY: the caller passes room for four values.
        unsafe { to.cast::<[f32; 4]>().write(value) }
    }

    #[inline(always)]
    unsafe fn store_masked(self, to: *mut f32, value: [f32; 4], mask: usize) {
        for (lane, &value) in value.iter().enumerate().take(mask) {
            // SAFETY: `lane < mask`, and the caller passes room for `mask` values.
            unsafe { *to.add(lane) = value };
        }
    }
}

/// Instructions as the methods of a token: each is proof that the machine has them.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! lanes {
    ($token:ty, $count:literal, $vector:ty, $mask:ty;
        $(fn $name:ident($($argument:ident: $type:ty),*) -> $output:ty = $body:expr;)*
        $(unsafe fn $access:ident($($pointer:ident: $kind:ty),*) -> $value:ty = $touch:expr;)*
    ) => {
        impl $crate::kernels::matmul::lanes::Lanes for $token {
            const COUNT: usize = $count;
            type Vector = $vector;
            type Mask = $mask;
            $(
                // A mask may be a number.
                #[allow(unused_unsafe)]
                #[inline(always)]
                fn $name(self, $($argument: $type),*) -> $output {
                    // SAFETY: there is a token, and the instruction touches no memory.
                    unsafe { $body }
                }
            )*
            $(
                #[inline(always)]
                unsafe fn $access(self, $($pointer: $kind),*) -> $value {
                    // SAFETY: there is a token; the caller vouches for the memory.
                    unsafe { $touch }
                }
            )*
        }
    };
}
#[cfg(target_arch = "aarch64")]
use lanes;

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use crate::kernels::isa::{Avx2, Avx512};

    // The instructions for maximum and minimum return their second operand where one is NaN or both are
    // zero, which is what `math::relu` and `at_most` do.
    lanes! {
        Avx512, 16, __m512, __mmask16;
        fn mask(count: usize) -> __mmask16 = _cvtu32_mask16((1 << count) - 1);
        fn splat(value: f32) -> __m512 = _mm512_set1_ps(value);
        fn multiply_add(a: __m512, b: __m512, c: __m512) -> __m512 = _mm512_fmadd_ps(a, b, c);
        fn add(a: __m512, b: __m512) -> __m512 = _mm512_add_ps(a, b);
        fn subtract(a: __m512, b: __m512) -> __m512 = _mm512_sub_ps(a, b);
        fn relu(a: __m512) -> __m512 = _mm512_max_ps(_mm512_setzero_ps(), a);
        fn at_most(a: __m512, bound: __m512) -> __m512 = _mm512_min_ps(bound, a);
        unsafe fn load(from: *const f32) -> __m512 = _mm512_loadu_ps(from);
        unsafe fn load_masked(from: *const f32, mask: __mmask16) -> __m512 = _mm512_maskz_loadu_ps(mask, from);
        unsafe fn store(to: *mut f32, value: __m512) -> () = _mm512_storeu_ps(to, value);
        unsafe fn store_masked(to: *mut f32, value: __m512, mask: __mmask16) -> () = _mm512_mask_storeu_ps(to, mask, value);
    }

    lanes! {
        Avx2, 8, __m256, __m256i;
        fn mask(count: usize) -> __m256i = _mm256_cmpgt_epi32(
            _mm256_set1_epi32(count as i32),
            _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7),
        );
        fn splat(value: f32) -> __m256 = _mm256_set1_ps(value);
        fn multiply_add(a: __m256, b: __m256, c: __m256) -> __m256 = _mm256_fmadd_ps(a, b, c);
        fn add(a: __m256, b: __m256) -> __m256 = _mm256_add_ps(a, b);
        fn subtract(a: __m256, b: __m256) -> __m256 = _mm256_sub_ps(a, b);
        fn relu(a: __m256) -> __m256 = _mm256_max_ps(_mm256_setzero_ps(), a);
        fn at_most(a: __m256, bound: __m256) -> __m256 = _mm256_min_ps(bound, a);
        unsafe fn load(from: *const f32) -> __m256 = _mm256_loadu_ps(from);
        unsafe fn load_masked(from: *const f32, mask: __m256i) -> __m256 = _mm256_maskload_ps(from, mask);
        unsafe fn store(to: *mut f32, value: __m256) -> () = _mm256_storeu_ps(to, value);
        unsafe fn store_masked(to: *mut f32, value: __m256, mask: __m256i) -> () = _mm256_maskstore_ps(to, mask, value);
    }
}
