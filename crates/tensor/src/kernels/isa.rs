//! Which vector instructions this machine has, and how a loop is compiled for each of them.

use std::sync::OnceLock;

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

impl Isa {
    /// The widest set that this machine runs; looked up once per process. The variable `REGRAFT_ISA` of the
    /// environment may hold it to a narrower one, `avx2` or `portable`, to compare them.
    #[inline]
    pub fn detect() -> Isa {
        #[cfg(test)]
        if let Some(isa) = tests::instead() {
            return isa;
        }
        static FOUND: OnceLock<Isa> = OnceLock::new();
        *FOUND.get_or_init(|| {
            let most = std::env::var("REGRAFT_ISA").unwrap_or_default();
            let narrower = || {
                let neon = || Neon::new().map_or(Isa::Portable, Isa::Neon);
                Avx2::new().map_or_else(neon, Isa::Avx2)
            };
            match most.as_str() {
                "portable" => Isa::Portable,
                "avx2" => narrower(),
                _ => Avx512::new().map_or_else(narrower, Isa::Avx512),
            }
        })
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
            Isa::Portable | Isa::Neon(_) => work(),
            Isa::Avx2(token) => token.run(work),
            Isa::Avx512(token) => token.run(work),
        }
    }

    /// Whether matrix products round once per multiply-add on this machine (fused), or after the
    /// multiplication and after the addition. All paths that one machine can take agree.
    #[inline]
    pub fn fused(self) -> bool {
        self != Isa::Portable || TARGET_FUSES
    }

    /// Whether there is AVX2, in this set or a wider one.
    #[inline]
    #[cfg(target_arch = "x86_64")]
    pub(in crate::kernels) fn has_avx2(self) -> bool {
        matches!(self, Isa::Avx2(_) | Isa::Avx512(_))
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
