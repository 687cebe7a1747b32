//! The catalogue of a kind: what files may name.

/// Declares the classes of a kind: what is made of them, and how; for each file its classes, and the
/// names that each answers to. The modules, what they export and the table of names follow.
macro_rules! catalogue {
    ($made:ty, $($make:ident)::+: $($file:ident: $($class:ident $names:tt $(by $by:path)?),+;)*) => {
        $(
            mod $file;
            pub use $file::{$($class),+};
        )*

        /// What is made under each name.
        pub(crate) const TABLE: &[$crate::settings::Maker<$made>] =
            catalogue!(@table ($($make)::+) $($($class $names $(by $by)?;)+)*);
    };
    (@table $make:tt $($class:ident $names:tt $(by $by:path)?;)*) => {
        &[$((&$names, catalogue!(@make $make $class $($by)?))),*]
    };
    (@make ($($make:ident)::+) $class:ident) => {
        $($make)::+::<$class>
    };
    (@make $make:tt $class:ident $by:path) => {
        $by
    };
}
pub(crate) use catalogue;
