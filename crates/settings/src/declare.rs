//! The declaration of a class together with its settings.

/// Declares a class and its settings, each once: its name and type, its default, what is allowed, and
/// its documentation. The struct, its constructor and setters, [`Configured`](crate::Configured) (the
/// class, its configuration and its check) and [`FromSettings`](crate::FromSettings) (reading a
/// configuration, refusing what is not known) follow.
///
/// ```
/// use regraft_settings::{Configured, FromSettings, Settings, require_rate, settings};
///
/// settings! {
///     /// `(x + offset) · factor`.
///     #[derive(Clone, Debug)]
///     pub struct Scale as "Scale" {
///         /// A scale that multiplies with `factor`.
///         new(factor: f32)
///         factor: f32 = factor => require_rate,
///         /// What is added before; 0 unless told otherwise.
///         offset: f32 = 0.0,
///     }
/// }
///
/// let config = Scale::new(2.0).offset(0.5).config();
/// assert_eq!(serde_json::to_string(&config).unwrap(), r#"{"factor":2.0,"offset":0.5}"#);
/// assert_eq!(Scale::from_settings(&Settings::new("Scale", &config))?.config(), config);
/// assert!(Scale::new(-1.0).check().is_err());
/// # Ok::<(), regraft_settings::Detail>(())
/// ```
///
/// **The class** is what files call it, with Keras' module in front: `"keras.layers.Dense"`. A struct
/// over spatial axes (`Convolution<const RANK: usize>`) has one for each number of them. After `or`
/// stands the class of anything but the defaults, whose configuration is empty then; after `without` a
/// setting that all classes of the kind have and this one has not.
///
/// **A setting** is `name: Type = default`. The name is Keras' key, unless `as "key"` says it. The type
/// is a [`Setting`](crate::Setting). A default is anything that the setter takes, `"zeros"` for an
/// initializer. Behind `=>` stands a function of a name and a value that checks it. One with a doc
/// comment has a setter, which the comment documents. If all settings are `pub`, they are public fields
/// without setters, and the class has a `Default`. A field may be seen as far as it says, `pub(crate)`.
///
/// **`new`** has the settings that must be given, and those that files may leave out with what they are
/// then (`new(rate: f32 = 0.5)`); defaults of settings may refer to them. With a doc comment it is public.
/// The class has a `Default` if nothing must be given.
///
/// **State** that is no setting stands in `state { … }` behind the settings, with its first value.
///
/// **What does not fit** is plain code behind the declaration: `reading |settings, it| { … }` sees the
/// settings and the new value (keys of older files, what must be off), `writing |it, config| { … }` the
/// configuration, `checking |it| { … }` returns what is wrong with settings that depend on each other.
#[macro_export]
macro_rules! settings {
    ($($declaration:tt)*) => {
        $crate::declare! { $crate $($declaration)* }
    };
}

/// [`settings!`](macro@crate::settings) of a crate that has an `IntoSetting` of its own, for what setters take:
/// `$crate` in front.
#[doc(hidden)]
#[macro_export]
macro_rules! declare {
    // Without settings.
    (
        $root:tt
        $(#[$meta:meta])*
        pub struct $name:ident as $class:literal $(without $lacks:ident)?;
    ) => {
        $(#[$meta])*
        pub struct $name;

        $crate::declare!(@traits $root ($name) ($class) () ($(without $lacks)?) [""] [] {} {} {} {} {});

        impl $name {
            const fn with_defaults() -> Self {
                $name
            }
        }
    };

    // Settings that are public fields.
    (
        $root:tt
        $(#[$meta:meta])*
        pub struct $name:ident as $class:literal $(or $other:literal)? {
            $($(#[$doc:meta])* pub $field:ident: $type:ty = $default:expr $(=> $check:expr)?,)+
        }
        $(reading |$from:ident, $made:ident| $reading:block)?
        $(writing |$of:ident, $config:ident| $writing:block)?
        $(checking |$checked:ident| $checking:block)?
    ) => {
        $(#[$meta])*
        pub struct $name {
            $($(#[$doc])* pub $field: $type,)+
        }

        impl $name {
            fn with_defaults() -> Self {
                $name {
                    $($field: $root::IntoSetting::<$type>::into_setting($default),)+
                }
            }
        }

        $crate::declare!(@default $root $name []);
        $crate::declare!(@traits $root ($name) ($class) ($(or $other)?) ()
            [$crate::Class::new($class).name] []
            { $(($field []: $type $(=> $check)?))+ } {}
            { $(|$from, $made| $reading)? } { $(|$of, $config| $writing)? }
            { $(|$checked| $checking)? });
    };

    // Settings with setters.
    (
        $root:tt
        $(#[$meta:meta])*
        pub struct $name:ident $(<const $rank:ident: usize>)? as $($class:literal),+
            $(without $lacks:ident)?
        {
            $(#[$new:meta])*
            new($($argument:ident: $argument_type:ty $(= $argument_default:expr)?),* $(,)?)
            $(
                $(#[$doc:meta])*
                $access:vis $field:ident $(as $key:literal)?: $type:ty = $default:expr $(=> $check:expr)?,
            )*
        }
        $(state { $($reach:vis $state:ident: $state_type:ty = $initial:expr),+ $(,)? })?
        $(reading |$from:ident, $made:ident| $reading:block)?
        $(writing |$of:ident, $config:ident| $writing:block)?
        $(checking |$checked:ident| $checking:block)?
    ) => {
        $(#[$meta])*
        pub struct $name $(<const $rank: usize>)? {
            $($access $field: $type,)*
            $($($reach $state: $state_type,)+)?
        }

        impl $(<const $rank: usize>)? $name $(<$rank>)? {
            $crate::declare!(@new $root [$(#[$new])*] $($argument: $argument_type),*);

            fn with_defaults($($argument: $argument_type),*) -> Self {
                $name {
                    $($field: $root::IntoSetting::<$type>::into_setting($default),)*
                    $($($state: $initial,)+)?
                }
            }

            $($crate::declare!(@setter $root [$(#[$doc])*] $field $type);)*
        }

        $crate::declare!(@default $root $name [$($rank)?]
            $($argument: $argument_type $(= $argument_default)?),*);
        $crate::declare!(@traits $root ($name $(<$rank>)?) ($($class),+) () ($(without $lacks)?) [""]
            [$($argument: $argument_type $(= $argument_default)?),*]
            { $(($field [$($key)?]: $type $(=> $check)?))* } { $($($state)+)? }
            { $(|$from, $made| $reading)? } { $(|$of, $config| $writing)? }
            { $(|$checked| $checking)? });
    };

    // What documentation makes public: the constructor, and setters.
    (@new $root:tt [] $($argument:ident: $type:ty),*) => {};
    (@new $root:tt [$(#[$doc:meta])+] $($argument:ident: $type:ty),*) => {
        $(#[$doc])+
        pub fn new($($argument: impl $root::IntoSetting<$type>),*) -> Self {
            Self::with_defaults($($argument.into_setting()),*)
        }
    };
    (@setter $root:tt [] $field:ident $type:ty) => {};
    (@setter $root:tt [$(#[$doc:meta])+] $field:ident $type:ty) => {
        $(#[$doc])+
        #[must_use]
        pub fn $field(mut self, $field: impl $root::IntoSetting<$type>) -> Self {
            self.$field = $field.into_setting();
            self
        }
    };

    // A default value, if nothing must be given.
    (@default $root:tt $name:ident [$($rank:ident)?] $($argument:ident: $type:ty = $default:expr),*) => {
        impl $(<const $rank: usize>)? Default for $name $(<$rank>)? {
            fn default() -> Self {
                Self::with_defaults($($root::IntoSetting::<$type>::into_setting($default)),*)
            }
        }
    };
    (@default $root:tt $name:ident [$($rank:ident)?] $($must_be_given:tt)*) => {};

    // The class, and its configuration in both directions.
    (@traits $root:tt ($name:ident $(<$rank:ident>)?) ($($class:literal),+) ($(or $other:literal)?)
        ($(without $lacks:ident)?) [$owner:expr]
        [$($argument:ident: $argument_type:ty $(= $argument_default:expr)?),*]
        { $(($field:ident $key:tt: $type:ty $(=> $check:expr)?))* } { $($state:ident)* }
        { $(|$from:ident, $made:ident| $reading:block)? }
        { $(|$of:ident, $config:ident| $writing:block)? }
        { $(|$checked:ident| $checking:block)? }
    ) => {
        impl $(<const $rank: usize>)? $crate::Configured for $name $(<$rank>)? {
            fn class(&self) -> $crate::Class<'_> {
                $(if *self != Self::with_defaults() {
                    return $crate::Class::new($other);
                })?
                const CLASSES: &[&str] = &[$($class),+];
                $(const { assert!($rank > 0 && $rank <= CLASSES.len(), "so many axes") })?
                $crate::Class::new(CLASSES[0 $(+ $rank - 1)?]) $(.without(stringify!($lacks)))?
            }

            fn config(&self) -> $crate::Map {
                #[allow(unused_mut, reason = "there may be no settings")]
                let mut config = $crate::Map::new();
                $(if *self == Self::with_defaults() {
                    let _ = $other;
                    return config;
                })?
                $(if $crate::Setting::is_written(&self.$field) {
                    let key = $crate::declare!(@key $field $key);
                    config.insert(key.to_string(), $crate::Setting::write(&self.$field));
                })*
                $({
                    let ($of, $config) = (self, &mut config);
                    $writing
                })?
                config
            }

            fn check(&self) -> Result<(), $crate::Detail> {
                $($(
                    let place = $crate::place($owner, $crate::declare!(@key $field $key));
                    $check(&place, $crate::copy(&self.$field))?;
                )?)*
                $({
                    let $checked = self;
                    let checked: Result<(), $crate::Detail> = $checking;
                    checked?;
                })?
                Ok(())
            }
        }

        impl $(<const $rank: usize>)? $crate::FromSettings for $name $(<$rank>)? {
            fn from_settings(
                settings: &$crate::Settings<'_>,
            ) -> Result<Self, $crate::Detail> {
                #[allow(unused_variables, reason = "there may be no settings")]
                let made = Self::with_defaults(
                    $($crate::declare!(@read $root settings $argument $argument_type $(, $argument_default)?)),*
                );
                #[allow(unused_mut, reason = "there may be nothing behind the settings")]
                let mut made = $name {
                    $($field: settings.or($crate::declare!(@key $field $key), made.$field)?,)*
                    $($state: made.$state,)*
                };
                $({
                    let ($from, $made) = (settings, &mut made);
                    $reading
                })?
                settings.finish()?;
                Ok(made)
            }
        }
    };
    (@read $root:tt $settings:ident $key:ident $type:ty) => {
        $settings.required::<$type>(stringify!($key))?
    };
    (@read $root:tt $settings:ident $key:ident $type:ty, $default:expr) => {
        $settings.or::<$type>(stringify!($key), $root::IntoSetting::<$type>::into_setting($default))?
    };
    (@key $field:ident [$key:literal]) => {
        $key
    };
    (@key $field:ident []) => {
        stringify!($field)
    };
}
