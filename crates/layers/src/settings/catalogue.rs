//! The catalogue of a kind: what files may name.

/// Declares the classes of a kind: for each file its classes, and the names that each answers to. The
/// modules, what they export and the table of names follow.
macro_rules! catalogue {
    ($handle:ident: $($file:ident: $($class:ident $names:tt $(by $make:path)?),+;)*) => {
        $(
            mod $file;
            pub use $file::{$($class),+};
        )*

        /// What is made under each name.
        const TABLE: &[$crate::settings::Maker<$handle>] = &[
            $($((&$names, catalogue!(@make $handle $class $($make)?)),)+)*
        ];
    };
    (@make $handle:ident $class:ident) => {
        $handle::make::<$class>
    };
    (@make $handle:ident $class:ident $make:path) => {
        $make
    };
}
pub(crate) use catalogue;
