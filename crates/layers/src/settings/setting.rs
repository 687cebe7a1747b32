//! What the type of a setting can do: be read from a configuration, and written into one.

use regraft_tensor::Detail;
use serde_json::Value;

use super::{Settings, number, numbers};
use crate::{
    Activation, ActivationFunction, Constraint, ConstraintFunction, Initializer,
    InitializerFunction, Registry, Regularizer, RegularizerFunction,
};

/// The type of a setting.
///
/// ```
/// use regraft_layers::settings::{Detail, Given, Setting};
/// use serde_json::Value;
///
/// /// A share of the whole, which files give in percent.
/// #[derive(Clone, Copy, Debug)]
/// struct Percent(f32);
///
/// impl Setting for Percent {
///     fn read(given: Given<'_>) -> Result<Self, Detail> {
///         let percent = given.value.as_f64().ok_or_else(|| given.wrong("a number"))?;
///         Ok(Percent(percent as f32 / 100.0))
///     }
///     fn write(&self) -> Value {
///         (self.0 * 100.0).into()
///     }
/// }
/// ```
pub trait Setting: Sized {
    /// What `given` means.
    ///
    /// # Errors
    /// If it means nothing: [`Given::wrong`] has what was expected.
    fn read(given: Given<'_>) -> Result<Self, Detail>;

    /// As configurations have it.
    fn write(&self) -> Value;

    /// Whether configurations have the setting; some leave it out where it says nothing.
    fn is_written(&self) -> bool {
        true
    }

    /// What is written where there is none, for a setting that is an `Option` of this type.
    fn write_none() -> Value {
        Value::Null
    }
}

/// A value in a configuration.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
    /// The value.
    pub value: &'a Value,
    key: &'a str,
    settings: &'a Settings<'a>,
}

impl<'a> Given<'a> {
    pub(super) fn new(value: &'a Value, key: &'a str, settings: &'a Settings<'a>) -> Self {
        Given {
            value,
            key,
            settings,
        }
    }

    /// The error for a value that is not what was `expected`.
    pub fn wrong(&self, expected: &str) -> Detail {
        self.settings.wrong(self.key, expected, self.value)
    }

    /// As [`wrong`](Self::wrong), for what was made of the value.
    pub(crate) fn instead(&self, expected: &str, received: &str) -> Detail {
        self.settings.wrong(self.key, expected, &received.into())
    }

    /// The function that the value means.
    fn function<T>(
        &self,
        read: impl FnOnce(&Registry, &Value) -> Result<T, Detail>,
        built_in: impl FnOnce(&Value) -> Result<T, Detail>,
    ) -> Result<T, Detail> {
        let made = match self.settings.registry() {
            Some(registry) => read(registry, self.value),
            None => built_in(self.value),
        };
        made.map_err(|detail| detail.within(self.key))
    }
}

/// What a setter takes for a setting of type `T`: the value itself; for one that may be missing also
/// what it is if it is there; for a function also its name in Keras; for sizes also one for all axes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not make a setting of type `{T}`",
    note = "a type of settings of your own implements `regraft_layers::Setting`"
)]
pub trait IntoSetting<T> {
    /// The setting.
    fn into_setting(self) -> T;
}

impl<T: Setting> IntoSetting<T> for T {
    fn into_setting(self) -> T {
        self
    }
}

impl<T: Setting> IntoSetting<Option<T>> for T {
    fn into_setting(self) -> Option<T> {
        Some(self)
    }
}

impl<T: Setting> Setting for Option<T> {
    fn read(given: Given<'_>) -> Result<Self, Detail> {
        T::read(given).map(Some)
    }

    fn write(&self) -> Value {
        self.as_ref().map_or_else(T::write_none, T::write)
    }
}

/// Settings that are one JSON value: their type, what is expected, and how it is read and written.
macro_rules! plain {
    ($($type:ty: $expected:literal, $read:expr, $write:expr;)*) => {$(
        impl Setting for $type {
            fn read(given: Given<'_>) -> Result<Self, Detail> {
                let read: fn(&Value) -> Option<Self> = $read;
                read(given.value).ok_or_else(|| given.wrong($expected))
            }

            fn write(&self) -> Value {
                let write: fn(&Self) -> Value = $write;
                write(self)
            }
        }
    )*};
}

plain! {
    bool: "true or false", Value::as_bool, |&flag| flag.into();
    f32: "a number", |value| Some(value.as_f64()? as f32), |&value| number(value);
    f64: "a number", Value::as_f64, |&number| number.into();
    // Sizes; one may stand for itself.
    Vec<usize>: "a size or several", |value| match value {
        Value::Array(sizes) => sizes.iter().map(size).collect(),
        one => Some(vec![size(one)?]),
    }, |sizes| sizes.as_slice().into();
    i64: "a whole number", Value::as_i64, |&value| value.into();
    usize: "a size", size, |&size| size.into();
    isize: "an axis", integer, |&axis| axis.into();
    i32: "a whole number", |value| value.as_i64()?.try_into().ok(), |&value| value.into();
    u64: "a whole number that is not negative", Value::as_u64, |&value| value.into();
    String: "a text", |value| value.as_str().map(str::to_string), |text| text.as_str().into();
    // Axes; one may stand for itself.
    Vec<isize>: "an axis or several", |value| match value {
        Value::Array(axes) => axes.iter().map(integer).collect(),
        axis => Some(vec![integer(axis)?]),
    }, |axes| axes.as_slice().into();
    // Numbers in a list, also as Keras writes an array.
    Vec<f64>: "numbers", |value| {
        let inner = value.get("config").and_then(|config| config.get("value"));
        inner.unwrap_or(value).as_array()?.iter().map(Value::as_f64).collect()
    }, |values| values.as_slice().into();
    // Sizes, some of which are those of the input.
    Vec<Option<usize>>: "sizes or null in a list", |value| {
        let one = |value: &Value| match value {
            Value::Null => Some(None),
            value => size(value).map(Some),
        };
        value.as_array()?.iter().map(one).collect()
    }, |sizes| sizes.as_slice().into();
    // Also as Keras writes an array: `{"config": {"value": [...]}}`.
    Vec<f32>: "a number or a list of numbers", |value| {
        let inner = value.get("config").and_then(|config| config.get("value"));
        let one = |value: &Value| Some(value.as_f64()? as f32);
        match inner.unwrap_or(value) {
            Value::Array(numbers) => numbers.iter().map(one).collect(),
            number => Some(vec![one(number)?]),
        }
    }, |values| numbers(values);
}

fn size(value: &Value) -> Option<usize> {
    value.as_u64()?.try_into().ok()
}

fn integer(value: &Value) -> Option<isize> {
    value.as_i64()?.try_into().ok()
}

/// Other types that a setter takes for a setting, and for one that may be missing; their generic
/// parameters stand in front.
macro_rules! also {
    ($([$($generics:tt)*] $given:ty => $type:ty: $into:expr;)*) => {$(
        impl<$($generics)*> $crate::IntoSetting<$type> for $given {
            fn into_setting(self) -> $type {
                let into: fn(Self) -> $type = $into;
                into(self)
            }
        }

        impl<$($generics)*> $crate::IntoSetting<Option<$type>> for $given {
            fn into_setting(self) -> Option<$type> {
                Some(self.into_setting())
            }
        }
    )*};
}

pub(crate) use also;

also! {
    [] &str => String: str::to_string;
    [const N: usize] [isize; N] => Vec<isize>: |axes| axes.to_vec();
    [] &[isize] => Vec<isize>: <[isize]>::to_vec;
    [] &Vec<isize> => Vec<isize>: Vec::clone;
    [const N: usize] [usize; N] => Vec<usize>: |sizes| sizes.to_vec();
    [] &[usize] => Vec<usize>: <[usize]>::to_vec;
    [] &Vec<usize> => Vec<usize>: Vec::clone;
    [] f32 => Vec<f32>: |value| vec![value];
    [const N: usize] [f32; N] => Vec<f32>: |values| values.to_vec();
    [] &[f32] => Vec<f32>: <[f32]>::to_vec;
    [const N: usize] [Option<usize>; N] => Vec<Option<usize>>: |sizes| sizes.to_vec();
}

/// Settings that are functions: in files what they serialize to, for setters also a name or a value of
/// a function's own type.
macro_rules! functions {
    ($($handle:ident $function:ident $read:ident, $none:expr;)*) => {$(
        impl Setting for $handle {
            fn read(given: Given<'_>) -> Result<Self, Detail> {
                given.function(Registry::$read, $handle::deserialize)
            }

            fn write(&self) -> Value {
                self.serialize()
            }

            fn write_none() -> Value {
                $none
            }
        }

        impl IntoSetting<$handle> for &str {
            fn into_setting(self) -> $handle {
                self.into()
            }
        }

        impl IntoSetting<Option<$handle>> for &str {
            fn into_setting(self) -> Option<$handle> {
                Some(self.into())
            }
        }

        impl<F: $function> IntoSetting<$handle> for F {
            fn into_setting(self) -> $handle {
                self.into()
            }
        }

        impl<F: $function> IntoSetting<Option<$handle>> for F {
            fn into_setting(self) -> Option<$handle> {
                Some(self.into())
            }
        }
    )*};
}

functions! {
    Activation ActivationFunction activation, "linear".into();
    Initializer InitializerFunction initializer, Value::Null;
    Regularizer RegularizerFunction regularizer, Value::Null;
    Constraint ConstraintFunction constraint, Value::Null;
}

/// Settings that are one of some names, whatever the case: the type, the name of each value, and other
/// names that files may have.
macro_rules! named {
    ($type:ident: $($value:ident = $name:literal),+ $(; $($meant:ident = $also:literal),+)?) => {
        impl $type {
            /// Keras' name for it.
            pub fn name(self) -> &'static str {
                match self {
                    $($type::$value => $name,)+
                }
            }
        }

        impl $crate::Setting for $type {
            fn read(given: $crate::settings::Given<'_>) -> Result<Self, regraft_tensor::Detail> {
                let names = &[$($name),+ $($(, $also)+)?][..];
                let text = given.value.as_str().ok_or_else(|| given.wrong("a text"))?;
                match text.to_ascii_lowercase().as_str() {
                    $($name => Ok($type::$value),)+
                    $($($also => Ok($type::$meant),)+)?
                    other => Err(given.instead(&format!("one of {names:?}"), other)),
                }
            }

            fn write(&self) -> serde_json::Value {
                self.name().into()
            }
        }
    };
}
pub(crate) use named;

/// Settings of a type that is made of a name, also of one that means nothing, which is reported later:
/// the type, and what is expected.
macro_rules! by_name {
    ($type:ident: $expected:literal) => {
        impl $crate::Setting for $type {
            fn read(given: $crate::settings::Given<'_>) -> Result<Self, regraft_tensor::Detail> {
                let name = given.value.as_str().ok_or_else(|| given.wrong($expected))?;
                Ok(name.into())
            }

            fn write(&self) -> serde_json::Value {
                self.name().into()
            }
        }

        impl $crate::IntoSetting<$type> for &str {
            fn into_setting(self) -> $type {
                self.into()
            }
        }
    };
}
pub(crate) use by_name;
