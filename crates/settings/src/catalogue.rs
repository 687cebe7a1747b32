//! The catalogue of a kind: what files may name, and how it is made.

use std::any::Any;

use regraft_tensor::{Detail, snake_case};

use crate::{Map, Settings, near};

/// Declares the classes of a kind: what is made of them, and how; for each file its classes, and the
/// names that each answers to. The modules, what they export and the table of names follow.
#[doc(hidden)]
#[macro_export]
macro_rules! catalogue {
    ($made:ty, $($make:ident)::+: $($file:ident: $($class:ident $names:tt $(by $by:path)?),+;)*) => {
        $(
            mod $file;
            pub use $file::{$($class),+};
        )*

        /// What is made under each name.
        pub(crate) const TABLE: &[$crate::Maker<$made>] =
            $crate::catalogue!(@table ($($make)::+) $($($class $names $(by $by)?;)+)*);
    };
    (@table $make:tt $($class:ident $names:tt $(by $by:path)?;)*) => {
        &[$((&$names, $crate::catalogue!(@make $make $class $($by)?))),*]
    };
    (@make ($($make:ident)::+) $class:ident) => {
        $($make)::+::<$class>
    };
    (@make $make:tt $class:ident $by:path) => {
        $by
    };
}

/// The names that one constructor answers to, and the constructor.
pub type Maker<H> = (
    &'static [&'static str],
    fn(&Settings<'_>) -> Result<H, Detail>,
);

/// Makes what `table` knows under `name` (as Keras' class or in snake case) from `config`.
///
/// # Errors
/// A name that is not known, or a setting that has no meaning.
pub fn make<H>(kind: &str, table: &[Maker<H>], name: &str, config: &Map) -> Result<H, Detail> {
    make_with(kind, table, name, config, None)
}

/// As [`make`], with [what else is known](Settings::with) to the settings.
///
/// # Errors
/// As [`make`].
pub fn make_with<H>(
    kind: &str,
    table: &[Maker<H>],
    name: &str,
    config: &Map,
    context: Option<&dyn Any>,
) -> Result<H, Detail> {
    let snake = snake_case(name);
    let found = table
        .iter()
        .find(|(names, _)| names.contains(&name))
        .or_else(|| {
            table
                .iter()
                .find(|(names, _)| names.contains(&snake.as_str()))
        });
    let Some((_, maker)) = found else {
        let names = table.iter().flat_map(|(names, _)| names.iter().copied());
        return Err(
            Detail::new(kind, format!("a known {kind}"), format!("{name:?}"))
                .help(near(&snake, names)),
        );
    };
    read(name, config, context, maker)
}

/// Makes something from its settings, all of which must be asked for.
///
/// # Errors
/// A setting that has no meaning, or that nobody asked for.
pub fn read<H>(
    owner: &str,
    config: &Map,
    context: Option<&dyn Any>,
    make: impl FnOnce(&Settings<'_>) -> Result<H, Detail>,
) -> Result<H, Detail> {
    let settings = Settings::new(owner, config).with(context);
    let made = make(&settings)?;
    settings.finish()?;
    Ok(made)
}
