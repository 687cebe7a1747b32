//! Settings: how a class [declares](crate::settings!) them, and how they are read from a Keras
//! configuration, each with its default, checked for its type, and none passed over in silence.

use std::cell::RefCell;

mod catalogue;
#[macro_use]
mod declare;
mod setting;

pub use regraft_tensor::Detail;
use serde_json::Value;

pub(crate) use catalogue::catalogue;
pub use setting::{Given, IntoSetting, Setting};
pub(crate) use setting::{also, by_name, named};

use crate::Registry;
use crate::keras::names::{near, snake_case};

/// The settings of one object, on their way into a value of its type.
///
/// A setting that is absent or `null` has its default. What nobody asked for by the
/// [end](Self::finish) is an error: it would have changed what the object computes.
#[derive(Debug)]
pub struct Settings<'a> {
    owner: &'a str,
    config: &'a Map,
    registry: Option<&'a Registry>,
    asked: RefCell<Vec<String>>,
}

/// A configuration: settings under Keras' names.
pub type Map = serde_json::Map<String, Value>;

/// A type that can be made from Keras' settings; [`settings!`](macro@crate::settings) implements it.
pub trait FromSettings: Sized {
    /// Reads the settings.
    ///
    /// # Errors
    /// A setting that is missing, has no meaning, or is not known.
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail>;
}

/// What a setting of a class is called where it is wrong: `L1.l1`.
#[doc(hidden)]
pub fn place(owner: &str, key: &str) -> String {
    match owner {
        "" => key.to_string(),
        owner => format!("{owner}.{key}"),
    }
}

/// A copy of a setting, for its check.
#[doc(hidden)]
pub fn copy<T: Clone>(setting: &T) -> T {
    setting.clone()
}

/// The names that one constructor answers to, and the constructor.
pub(crate) type Maker<H> = (
    &'static [&'static str],
    fn(&Settings<'_>) -> Result<H, Detail>,
);

/// Makes what `table` knows under `name` (as Keras' class or in snake case) from `config`.
pub(crate) fn make<H>(
    kind: &str,
    table: &[Maker<H>],
    name: &str,
    config: &Map,
) -> Result<H, Detail> {
    make_with(kind, table, name, config, None)
}

/// As [`make`], with functions of a user's own among the settings.
pub(crate) fn make_with<H>(
    kind: &str,
    table: &[Maker<H>],
    name: &str,
    config: &Map,
    registry: Option<&Registry>,
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
    read(name, config, registry, maker)
}

/// Makes something from its settings, all of which must be asked for.
pub(crate) fn read<H>(
    owner: &str,
    config: &Map,
    registry: Option<&Registry>,
    make: impl FnOnce(&Settings<'_>) -> Result<H, Detail>,
) -> Result<H, Detail> {
    let settings = Settings::new(owner, config).with(registry);
    let made = make(&settings)?;
    settings.finish()?;
    Ok(made)
}

impl<'a> Settings<'a> {
    /// The settings of the object `owner`.
    pub fn new(owner: &'a str, config: &'a Map) -> Self {
        Settings {
            owner,
            config,
            registry: None,
            asked: RefCell::new(Vec::new()),
        }
    }

    /// With what else than the built-in functions is known.
    pub(crate) fn with(self, registry: Option<&'a Registry>) -> Self {
        Settings { registry, ..self }
    }

    /// The name under which the object was asked for.
    pub fn owner(&self) -> &'a str {
        self.owner
    }

    /// What else than the built-in functions is known.
    pub(crate) fn registry(&self) -> Option<&'a Registry> {
        self.registry
    }

    /// The value of `key` as it is, unless it is absent or null.
    pub fn value(&self, key: &str) -> Option<&'a Value> {
        self.ignore(&[key]);
        self.config.get(key).filter(|value| !value.is_null())
    }

    /// Whether `key` is there and null, where that means something.
    pub fn is_null(&self, key: &str) -> bool {
        self.config.get(key).is_some_and(Value::is_null)
    }

    /// The setting `key`, or nothing.
    ///
    /// # Errors
    /// A value of another type.
    pub fn get<T: Setting>(&self, key: &str) -> Result<Option<T>, Detail> {
        let read = |value| T::read(Given::new(value, key, self));
        self.value(key).map(read).transpose()
    }

    /// The setting `key`, or its default.
    ///
    /// # Errors
    /// A value of another type.
    pub fn or<T: Setting>(&self, key: &str, default: impl IntoSetting<T>) -> Result<T, Detail> {
        Ok(self.get(key)?.unwrap_or_else(|| default.into_setting()))
    }

    /// The setting `key`, which must be there.
    ///
    /// # Errors
    /// None, or a value of another type.
    pub fn required<T: Setting>(&self, key: &str) -> Result<T, Detail> {
        let value = self.value(key).unwrap_or(&Value::Null);
        T::read(Given::new(value, key, self))
    }

    /// A text as it is.
    pub(crate) fn text<'s>(&'s self, key: &str, default: &'s str) -> Result<&'s str, Detail> {
        match self.value(key) {
            None => Ok(default),
            Some(Value::String(text)) => Ok(text),
            Some(value) => Err(self.wrong(key, "a text", value)),
        }
    }

    /// One of the names that `choices` gives to values; the first unless told otherwise.
    pub(crate) fn one_of<T: Copy>(&self, key: &str, choices: &[(T, &str)]) -> Result<T, Detail> {
        let text = self.text(key, choices[0].1)?.to_ascii_lowercase();
        let chosen = choices.iter().find(|(_, name)| *name == text);
        chosen.map(|(choice, _)| *choice).ok_or_else(|| {
            let names: Vec<&str> = choices.iter().map(|(_, name)| *name).collect();
            self.wrong(key, &format!("one of {names:?}"), &text.into())
        })
    }

    /// What is wrong with `key`.
    pub fn wrong(&self, key: &str, expected: &str, received: &Value) -> Detail {
        Detail::new(format!("{}.{key}", self.owner), expected, received)
    }

    /// Settings that change nothing here.
    pub fn ignore(&self, keys: &[&str]) {
        let mut asked = self.asked.borrow_mut();
        for &key in keys {
            if !asked.iter().any(|known| known == key) {
                asked.push(key.to_string());
            }
        }
    }

    /// Refuses settings that would change what the object computes in a way that is not supported.
    ///
    /// # Errors
    /// One that is neither absent, null nor false.
    pub fn unsupported(&self, keys: &[&str]) -> Result<(), Detail> {
        for &key in keys {
            match self.value(key) {
                None | Some(Value::Bool(false)) => {}
                Some(value) => return Err(self.wrong(key, "it to be off (not supported)", value)),
            }
        }
        Ok(())
    }

    /// Takes back that `key` was asked for: it is not known here.
    pub(crate) fn forget(&self, key: &str) {
        self.asked.borrow_mut().retain(|asked| asked != key);
    }

    /// Refuses another value of `key` than `only`.
    pub(crate) fn only(&self, key: &str, only: &str) -> Result<(), Detail> {
        let text = self.or::<String>(key, only)?.to_ascii_lowercase();
        match text == only {
            true => Ok(()),
            false => Err(self.wrong(key, &format!("one of {:?}", [only]), &text.into())),
        }
    }

    /// An error if there are settings that nobody asked for.
    ///
    /// # Errors
    /// The first of them, with near names.
    pub fn finish(&self) -> Result<(), Detail> {
        let asked = self.asked.borrow();
        let is_asked = |key: &String| asked.contains(key);
        let mut settings = self.config.iter();
        match settings.find(|(key, value)| !value.is_null() && !is_asked(key)) {
            None => Ok(()),
            Some((key, value)) => Err(Detail::new(
                self.owner,
                "settings that it knows",
                format!("{key:?}: {value}"),
            )
            .help(near(key, asked.iter().map(String::as_str)))),
        }
    }
}

/// A number as JSON, by its shortest decimal: `0.1`, where the nearest 64-bit number to the 32-bit
/// one would print as `0.10000000149011612`.
pub(crate) fn number(value: f32) -> Value {
    value.to_string().parse::<f64>().unwrap_or(f64::NAN).into()
}

/// Numbers as JSON: one as itself, several as a list.
pub(crate) fn numbers(numbers: &[f32]) -> Value {
    match numbers {
        [one] => number(*one),
        numbers => numbers.iter().map(|&one| number(one)).collect(),
    }
}

/// Axes as JSON: one as a number, several as a list.
pub(crate) fn axes(axes: &[isize]) -> Value {
    match axes {
        [axis] => (*axis).into(),
        axes => axes.into(),
    }
}

/// The axes of an array of `rank` axes that these numbers mean, ascending; negative ones count from
/// the end.
///
/// # Errors
/// A number outside the rank, or two that mean the same axis.
pub(crate) fn resolve(axes: &[isize], rank: usize) -> Result<Vec<usize>, Detail> {
    let mut resolved = Vec::with_capacity(axes.len());
    for &axis in axes {
        let index = if axis < 0 { axis + rank as isize } else { axis };
        if index < 0 || index >= rank as isize || resolved.contains(&(index as usize)) {
            let expected = format!("different axes of the {rank} that there are");
            return Err(Detail::new("axis", expected, format!("{axes:?}")));
        }
        resolved.push(index as usize);
    }
    resolved.sort_unstable();
    Ok(resolved)
}

/// An error unless `holds`: a setting `at` should have been `expected`.
///
/// # Errors
/// That.
pub fn require(
    holds: bool,
    at: &str,
    expected: &str,
    received: impl std::fmt::Debug,
) -> Result<(), Detail> {
    match holds {
        true => Ok(()),
        false => Err(Detail::new(at, expected, format!("{received:?}"))),
    }
}

/// Declares checks of a number, which may be none.
macro_rules! checks {
    ($($(#[$doc:meta])* $name:ident |$number:ident| $holds:expr, $expected:literal;)*) => {
        $(
            $(#[$doc])*
            ///
            /// # Errors
            /// Another number.
            pub fn $name(at: &str, value: impl Into<Option<f32>>) -> Result<(), Detail> {
                match value.into() {
                    Some($number) => require($holds, at, $expected, $number),
                    None => Ok(()),
                }
            }
        )*
    };
}

checks! {
    /// An error unless the number, if there is one, is finite and not negative.
    require_rate |x| x.is_finite() && x >= 0.0, "a number that is not negative";
    /// An error unless the number, if there is one, is a share of the whole.
    require_share |x| (0.0..=1.0).contains(&x), "a number from 0 to 1";
    /// An error unless the number, if there is one, is finite.
    require_finite |x| x.is_finite(), "a finite number";
    /// An error unless the number, if there is one, is finite and above 0.
    require_positive |x| x.is_finite() && x > 0.0, "a number above 0";
}

/// The beginning of a value, for a message.
pub(crate) fn brief(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        None => text,
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    struct Pair(f32, bool);

    impl FromSettings for Pair {
        fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
            settings.ignore(&["seed"]);
            Ok(Pair(settings.or("rate", 0.5)?, settings.or("on", true)?))
        }
    }

    fn pair(name: &str, config: Value) -> Result<Pair, Detail> {
        let Value::Object(config) = config else {
            unreachable!()
        };
        make("pair", &[(&["pair"], Pair::from_settings)], name, &config)
    }

    #[test]
    fn settings_have_defaults_and_types() {
        let made = pair("Pair", json!({"rate": 2, "on": null, "seed": 7})).unwrap();
        assert!(made.0 == 2.0 && made.1);
        let error = |name, config| pair(name, config).err().unwrap().to_string();
        assert!(error("pair", json!({"rate": "2"})).contains("pair.rate: expected a number"));
        assert!(error("pair", json!({"on": 1})).contains("true or false"));
        assert!(error("pair", json!({"rates": 1})).contains("nearest are \"rate\""));
        assert!(error("pear", json!({})).contains("nearest are \"pair\""));
    }

    #[test]
    fn numbers_print_as_short_as_they_were_written() {
        assert_eq!(number(0.1).to_string(), "0.1");
        assert_eq!(number(1e-30).as_f64(), Some(1e-30));
    }

    #[test]
    fn axes_count_from_both_ends() {
        assert_eq!(resolve(&[-1, 0], 3), Ok(vec![0, 2]));
        assert!(resolve(&[3], 3).is_err() && resolve(&[-4], 3).is_err());
        assert!(resolve(&[0, -3], 3).is_err());
    }
}
