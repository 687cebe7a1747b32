//! Which vector instructions this machine has, and how a loop is compiled for each of them.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

#[cfg(test)]
pub(in crate::kernels) mod tests;

/// A set of vector instructions that the kernels are compiled for, with the proof that this machine has
/// them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Isa {
    /// Loops in plain Rust, for what the compilation target guarantees.
    Portable,
    /// x86-64 with AVX2 and FMA.
    Avx2(Avx2),
    /// x86-64 with AVX-512 (F, BW, DQ, VL).
    Avx512(Avx512),
    /// 64-bit ARM with NEON.
    Neon(Neon),
    /// WebAssembly that is compiled with `simd128`, which has no fused multiply-add.
    Simd128(Simd128),
    /// Loops in plain Rust, with multiply-adds fused by software: the [exact mode](set_exact_mode).
    Exact,
}

/// A token: whoever holds one may use the instructions.
macro_rules! token {
    ($(#[$meta:meta])* $name:ident, $features:tt, $($feature:tt)*) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name {
            _private: (),
        }

        impl $name {
            /// The token, if this machine has the instructions.
            pub fn new() -> Option<Self> {
                #[cfg(all(target_arch = "x86_64", not(miri)))]
                if $(is_x86_feature_detected!($feature))&&* {
                    return Some($name { _private: () });
                }
                None
            }

            /// The token in a function that is itself compiled for the instructions, as the compiler checks.
            #[cfg(target_arch = "x86_64")]
            #[inline]
            #[target_feature(enable = $features)]
            pub(in crate::kernels) fn here() -> Self {
                $name { _private: () }
            }

            /// Runs `work`, compiled for the instructions.
            #[inline]
            pub(in crate::kernels) fn run<R>(self, work: impl FnOnce() -> R) -> R {
                #[cfg(target_arch = "x86_64")]
                #[target_feature(enable = $features)]
                fn compiled<R>(work: impl FnOnce() -> R) -> R {
                    work()
                }
                // SAFETY: there is a token, so the machine has the instructions.
                #[cfg(target_arch = "x86_64")]
                return unsafe { compiled(work) };
                #[cfg(not(target_arch = "x86_64"))]
                work()
            }
        }
    };
}

token!(
    /// Proof that this machine has AVX2 and FMA.
    Avx2, "avx2,fma", "avx2" "fma"
);
token!(
    /// Proof that this machine has AVX-512 (F, BW, DQ, VL), AVX2 and FMA.
    Avx512, "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma",
    "avx512f" "avx512bw" "avx512dq" "avx512vl" "avx2" "fma"
);

/// A token for instructions that every machine has which runs what is compiled for the target.
macro_rules! target_token {
    ($(#[$meta:meta])* $name:ident, $($condition:tt)*) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name {
            _private: (),
        }

        impl $name {
            /// The token, if the target has the instructions.
            pub const fn new() -> Option<Self> {
                if cfg!($($condition)*) {
                    Some($name { _private: () })
                } else {
                    None
                }
            }

            /// The token on a target that has the instructions.
            #[cfg($($condition)*)]
            pub(in crate::kernels) const fn here() -> Self {
                $name { _private: () }
            }
        }
    };
}

target_token!(
    /// Proof that this machine is one of 64-bit ARM with NEON.
    Neon, all(target_arch = "aarch64", target_feature = "neon", not(miri))
);
target_token!(
    /// Proof that this is WebAssembly with `simd128`. There it is known when the program is compiled: an engine
    /// without the instructions does not run the program at all.
    Simd128, all(target_arch = "wasm32", target_feature = "simd128")
);

impl Isa {
    /// The widest set that this machine runs; looked up once per process. The variable `REGRAFT_ISA` of the
    /// environment may hold it to a narrower one, `avx2` or `portable`, to compare them.
    ///
    /// [`Exact`](Isa::Exact) in its place if that set does not fuse multiply-adds and [`set_exact_mode`] asks for it.
    #[inline]
    pub fn detect() -> Isa {
        #[cfg(test)]
        if let Some(isa) = tests::instead() {
            return isa;
        }
        static FOUND: OnceLock<Isa> = OnceLock::new();
        let found = *FOUND.get_or_init(|| {
            let most = std::env::var("REGRAFT_ISA").unwrap_or_default();
            // At most one of these is of this target.
            let of_target = || {
                Neon::new()
                    .map(Isa::Neon)
                    .or(Simd128::new().map(Isa::Simd128))
            };
            let narrower = || {
                let found = Avx2::new().map(Isa::Avx2).or_else(of_target);
                found.unwrap_or(Isa::Portable)
            };
            match most.as_str() {
                "portable" => Isa::Portable,
                "avx2" => narrower(),
                _ => Avx512::new().map_or_else(narrower, Isa::Avx512),
            }
        });
        match found.fused() || !is_exact() {
            true => found,
            false => Isa::Exact,
        }
    }

    /// Runs `work`, compiled for these instructions if it is inlined.
    ///
    /// The work is ordinary scalar Rust that the compiler turns into vector code; it does not contract or
    /// reorder floating-point operations, so every version gives the same bits.
    ///
    /// ```
    /// use regraft_tensor::kernels::isa::Isa;
    ///
    /// let (x, mut y) = ([1.0, 2.0, 3.0], [0.5; 3]);
    /// Isa::detect().run(
    ///     #[inline(always)]
    ///     || y.iter_mut().zip(x).for_each(|(y, x)| *y += 2.0 * x),
    /// );
    /// assert_eq!(y, [2.5, 4.5, 6.5]);
    /// ```
    #[inline]
    pub fn run<R>(self, work: impl FnOnce() -> R) -> R {
        match self {
            Isa::Portable | Isa::Neon(_) | Isa::Simd128(_) | Isa::Exact => work(),
            Isa::Avx2(token) => token.run(work),
            Isa::Avx512(token) => token.run(work),
        }
    }

    /// Whether matrix products round once per multiply-add with these instructions (fused), or after the
    /// multiplication and after the addition. All sets that round once agree in every bit, on all machines, and
    /// so do all that round twice.
    #[inline]
    pub fn fused(self) -> bool {
        !matches!(self, Isa::Portable | Isa::Simd128(_)) || TARGET_FUSES
    }

    /// Whether there is AVX2, in this set or a wider one.
    #[inline]
    #[cfg(target_arch = "x86_64")]
    pub(in crate::kernels) fn has_avx2(self) -> bool {
        matches!(self, Isa::Avx2(_) | Isa::Avx512(_))
    }
}

/// What [`set_exact_mode`] was told: 0 or 1, [`UNSAID`] before that.
static EXACT: AtomicU8 = AtomicU8::new(UNSAID);
const UNSAID: u8 = 2;

/// Whether machines without fused multiply-add shall compute what the others do, for the whole process: x86-64
/// without AVX2 and WebAssembly then give the same bytes as every machine with it. Products take some 27 times as
/// long there; elsewhere this changes nothing.
///
/// The variable `REGRAFT_EXACT` of the environment does the same if it is `1`; what is said here counts before it.
/// Say it before the first model is made: what was computed before is kept, features of frozen layers for example.
pub fn set_exact_mode(exact: bool) {
    EXACT.store(u8::from(exact), Ordering::Relaxed);
}

/// Whether [`set_exact_mode`] or the environment asks for it.
fn is_exact() -> bool {
    static FROM_ENVIRONMENT: OnceLock<bool> = OnceLock::new();
    match EXACT.load(Ordering::Relaxed) {
        UNSAID => *FROM_ENVIRONMENT
            .get_or_init(|| std::env::var("REGRAFT_EXACT").is_ok_and(|value| value == "1")),
        said => said == 1,
    }
}

/// Whether every machine of the compilation target has fused multiply-adds.
pub(in crate::kernels) const TARGET_FUSES: bool =
    cfg!(any(target_arch = "aarch64", target_feature = "fma"));

/// Defines a function whose body is compiled for every [`Isa`] and run for the one that is there. Generic
/// parameters stand in square brackets.
///
/// Each version is a function with the same arguments, not a closure for [`Isa::run`]: arguments tell the
/// compiler that slices do not overlap, what a closure captures does not.
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
                // SAFETY: the token is proof that the machine has all of these features.
                $crate::kernels::isa::Isa::Avx512(_) => return unsafe { avx512($($argument),*) },
                // SAFETY: likewise.
                $crate::kernels::isa::Isa::Avx2(_) => return unsafe { avx2($($argument),*) },
                _ => {}
            }
            body($($argument),*)
        }
    };
}
pub(crate) use vectorised;
