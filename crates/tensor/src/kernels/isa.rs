//! Which vector instructions this machine has, and a macro that compiles a loop for each of them.

use std::sync::OnceLock;

/// A set of vector instructions that the kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Isa {
    /// What the compilation target guarantees: SSE2, NEON, WebAssembly with or without `simd128`.
    Portable,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// x86-64 with AVX-512 (F, BW, DQ, VL).
    Avx512,
}

impl Isa {
    /// The widest set that this machine runs; looked up once per process.
    #[inline]
    pub fn detect() -> Isa {
        static FOUND: OnceLock<Isa> = OnceLock::new();
        *FOUND.get_or_init(Isa::look_up)
    }

    #[cfg(all(target_arch = "x86_64", not(miri)))]
    fn look_up() -> Isa {
        let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        let avx512 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        match (avx2, avx512) {
            (true, true) => Isa::Avx512,
            (true, false) => Isa::Avx2,
            _ => Isa::Portable,
        }
    }

    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    fn look_up() -> Isa {
        Isa::Portable
    }

    /// Whether matrix products round once per multiply-add on this machine (fused), or after the
    /// multiplication and after the addition. All paths that one machine can take agree.
    #[inline]
    pub fn fused(self) -> bool {
        self != Isa::Portable || cfg!(any(target_arch = "aarch64", target_feature = "fma"))
    }
}

/// Defines a function whose body is compiled for every [`Isa`] and run for the one that is there.
///
/// The body is ordinary scalar Rust that the compiler turns into vector code; it does not contract
/// or reorder floating-point operations, so every version gives the same bits. Generic parameters
/// stand in square brackets.
macro_rules! vectorised {
    ($(#[$meta:meta])* $visibility:vis fn $name:ident [$($generics:tt)*]
        ($($argument:ident : $type:ty),* $(,)?) $(-> $output:ty)? $body:block) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $visibility fn $name<$($generics)*>($($argument: $type),*) $(-> $output)? {
            #[inline(always)]
            fn body<$($generics)*>($($argument: $type),*) $(-> $output)? $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
            fn avx512<$($generics)*>($($argument: $type),*) $(-> $output)? {
                body($($argument),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2<$($generics)*>($($argument: $type),*) $(-> $output)? {
                body($($argument),*)
            }

            #[cfg(target_arch = "x86_64")]
            match $crate::kernels::isa::Isa::detect() {
                // SAFETY: `detect` returns `Avx512` only where all of these features were found.
                $crate::kernels::isa::Isa::Avx512 => return unsafe { avx512($($argument),*) },
                // SAFETY: `detect` returns `Avx2` only where AVX2 and FMA were found.
                $crate::kernels::isa::Isa::Avx2 => return unsafe { avx2($($argument),*) },
                $crate::kernels::isa::Isa::Portable => {}
            }
            body($($argument),*)
        }
    };
}
pub(crate) use vectorised;
