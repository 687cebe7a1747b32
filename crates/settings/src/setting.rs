//! What the type of a setting can do: be read from a configuration, and written into one.

use regraft_tensor::Detail;
use serde_json::Value;

use crate::Settings;

/// The type of a setting.
///
/// ```
/// use regraft_settings::{Detail, Given, Setting};
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
    /// What null means in a configuration. Unless stated otherwise it says nothing, as if the setting were absent: the
    /// default counts then.
    const NULL: Option<Self> = None;

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
    pub(crate) fn new(value: &'a Value, key: &'a str, settings: &'a Settings<'a>) -> Self {
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
    pub fn instead(&self, expected: &str, received: &str) -> Detail {
        self.settings.wrong(self.key, expected, &received.into())
    }

    /// The name of the setting.
    pub fn key(&self) -> &'a str {
        self.key
    }

    /// What else is known to who reads, if it is of this type: [`Settings::with`].
    pub fn context<C: 'static>(&self) -> Option<&'a C> {
        self.settings.context()
    }
}

/// What a setter takes for a setting of type `T`: the value itself; for one that may be missing also
/// what it is if it is there; for a text or a list also a borrowed one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not make a setting of type `{T}`",
    note = "a type of settings of your own implements `Setting`"
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

impl IntoSetting<String> for &str {
    fn into_setting(self) -> String {
        self.to_string()
    }
}

impl IntoSetting<Option<String>> for &str {
    fn into_setting(self) -> Option<String> {
        Some(self.to_string())
    }
}

impl<T, const N: usize> IntoSetting<Vec<T>> for [T; N] {
    fn into_setting(self) -> Vec<T> {
        self.into()
    }
}

impl<T: Clone> IntoSetting<Vec<T>> for &[T] {
    fn into_setting(self) -> Vec<T> {
        self.to_vec()
    }
}

impl<T: Setting> Setting for Option<T> {
    const NULL: Option<Self> = Some(None);

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
    u32: "a whole number that is not negative", |value| value.as_u64()?.try_into().ok(), |&value| value.into();
    u64: "a whole number that is not negative", whole, |&value| value.into();
    Vec<u64>: "whole numbers that are not negative", |value| value.as_array()?.iter().map(whole).collect(),
        |values| values.as_slice().into();
    Vec<String>: "texts", |value| {
        value.as_array()?.iter().map(|text| Some(text.as_str()?.to_string())).collect()
    }, |texts| texts.as_slice().into();
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

/// A whole number, which Python may have written as `100` or `100.0`.
fn whole(value: &Value) -> Option<u64> {
    let exact = |number: &f64| *number >= 0.0 && number.fract() == 0.0 && *number < 2f64.powi(53);
    let float = || value.as_f64().filter(exact);
    value.as_u64().or_else(|| Some(float()? as u64))
}

/// A number as JSON, by its shortest decimal: `0.1`, where the nearest 64-bit number to the 32-bit
/// one would print as `0.10000000149011612`.
pub fn number(value: f32) -> Value {
    value.to_string().parse::<f64>().unwrap_or(f64::NAN).into()
}

/// Numbers as JSON: one as itself, several as a list.
pub fn numbers(numbers: &[f32]) -> Value {
    match numbers {
        [one] => number(*one),
        numbers => numbers.iter().map(|&one| number(one)).collect(),
    }
}

/// The beginning of a value, for a message.
pub fn brief(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        None => text,
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// Settings that are one of some names, whatever the case: the type, the name of each value, and other
/// names that files may have.
#[macro_export]
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
            fn read(given: $crate::Given<'_>) -> Result<Self, $crate::Detail> {
                let names = &[$($name),+ $($(, $also)+)?][..];
                let text = given.value.as_str().ok_or_else(|| given.wrong("a text"))?;
                match text {
                    $(text if text.eq_ignore_ascii_case($name) => Ok($type::$value),)+
                    $($(text if text.eq_ignore_ascii_case($also) => Ok($type::$meant),)+)?
                    other => Err(given.instead(&format!("one of {names:?}"), other)),
                }
            }

            fn write(&self) -> $crate::Value {
                self.name().into()
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Map;

    #[test]
    fn numbers_print_as_short_as_they_were_written() {
        assert_eq!(number(0.1).to_string(), "0.1");
        assert_eq!(number(1e-30).as_f64(), Some(1e-30));
    }

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Curve {
        Roc,
        Gain,
    }
    named!(Curve: Roc = "ROC", Gain = "PRGAIN"; Gain = "PR_GAIN");

    fn read<T: Setting>(value: Value) -> Result<T, Detail> {
        let config = Map::from_iter([("it".to_string(), value)]);
        Settings::new("Owner", &config).required("it")
    }

    #[test]
    fn names_are_read_in_any_case_and_written_as_they_are_declared() {
        assert_eq!(read::<Curve>(json!("roc")), Ok(Curve::Roc));
        assert_eq!(read::<Curve>(json!("pr_gain")), Ok(Curve::Gain));
        assert_eq!(Curve::Gain.write(), "PRGAIN");
        assert!(
            read::<Curve>(json!("pr"))
                .unwrap_err()
                .to_string()
                .contains("\"ROC\"")
        );
    }

    #[test]
    fn whole_numbers_may_be_written_with_a_point() {
        assert_eq!(read::<u64>(json!(100.0)), Ok(100));
        assert_eq!(read::<Vec<u64>>(json!([10, 20.0])), Ok(vec![10, 20]));
        assert_eq!(read::<u64>(json!(u64::MAX)), Ok(u64::MAX));
        for wrong in [json!(-1), json!(0.5), json!("1"), json!(1e300)] {
            assert!(read::<u64>(wrong).is_err());
        }
    }

    #[test]
    fn null_is_nothing_where_that_may_be_and_the_default_elsewhere() {
        let config = Map::from_iter([("it".to_string(), Value::Null)]);
        let settings = Settings::new("Owner", &config);
        assert_eq!(settings.or::<Option<f32>>("it", 0.5_f32), Ok(None));
        assert_eq!(settings.or::<f32>("it", 0.5_f32), Ok(0.5));
        assert_eq!(settings.or::<Option<f32>>("other", 0.5_f32), Ok(Some(0.5)));
    }
}
