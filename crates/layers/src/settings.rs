//! Reading the settings of a Keras configuration: each with its default, checked for its type, and
//! none passed over in silence.

use std::cell::RefCell;

use regraft_tensor::Detail;
use serde_json::{Map, Value};

use crate::Registry;
use crate::names::{near, snake_case};

/// The settings of one object, on their way into a value of its type.
///
/// A setting that is absent or `null` has its default. What nobody asked for by the end is an
/// error: it would have changed what the object computes.
#[derive(Debug)]
pub(crate) struct Settings<'a> {
    owner: &'a str,
    config: &'a Map<String, Value>,
    registry: Option<&'a Registry>,
    asked: RefCell<Vec<&'static str>>,
}

/// A type that can be made from Keras' settings.
pub(crate) trait FromSettings: Sized {
    /// Reads the settings; what has no meaning is found by the caller's check.
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail>;
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
    config: &Map<String, Value>,
) -> Result<H, Detail> {
    make_with(kind, table, name, config, None)
}

/// As [`make`], with functions of a user's own among the settings.
pub(crate) fn make_with<H>(
    kind: &str,
    table: &[Maker<H>],
    name: &str,
    config: &Map<String, Value>,
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
    config: &Map<String, Value>,
    registry: Option<&Registry>,
    make: impl FnOnce(&Settings<'_>) -> Result<H, Detail>,
) -> Result<H, Detail> {
    let settings = Settings {
        owner,
        config,
        registry,
        asked: RefCell::new(Vec::new()),
    };
    let made = make(&settings)?;
    settings.finish()?;
    Ok(made)
}

impl<'a> Settings<'a> {
    /// The settings of the object `owner`.
    pub(crate) fn new(owner: &'a str, config: &'a Map<String, Value>) -> Self {
        Settings {
            owner,
            config,
            registry: None,
            asked: RefCell::new(Vec::new()),
        }
    }
}

impl Settings<'_> {
    /// The name under which the object was asked for.
    pub(crate) fn owner(&self) -> &str {
        self.owner
    }

    /// What else than the built-in functions is known.
    pub(crate) fn registry(&self) -> Option<&Registry> {
        self.registry
    }

    /// The value of `key` unless it is absent or null.
    pub(crate) fn value(&self, key: &'static str) -> Option<&Value> {
        self.asked.borrow_mut().push(key);
        self.config.get(key).filter(|value| !value.is_null())
    }

    /// What is wrong with `key`.
    pub(crate) fn wrong(&self, key: &str, expected: &str, received: &Value) -> Detail {
        Detail::new(format!("{}.{key}", self.owner), expected, received)
    }

    /// Settings that change nothing here.
    pub(crate) fn ignore(&self, keys: &[&'static str]) {
        self.asked.borrow_mut().extend(keys);
    }

    /// A number.
    pub(crate) fn number(&self, key: &'static str, default: f32) -> Result<f32, Detail> {
        Ok(self.optional_number(key)?.unwrap_or(default))
    }

    /// A number that has no default.
    pub(crate) fn required_number(&self, key: &'static str) -> Result<f32, Detail> {
        self.optional_number(key)?
            .ok_or_else(|| self.wrong(key, "a number", &Value::Null))
    }

    /// A number, or nothing.
    pub(crate) fn optional_number(&self, key: &'static str) -> Result<Option<f32>, Detail> {
        let read = |value: &Value| match value.as_f64() {
            Some(number) => Ok(number as f32),
            None => Err(self.wrong(key, "a number", value)),
        };
        self.value(key).map(read).transpose()
    }

    /// A whole number, or nothing.
    pub(crate) fn optional_integer(&self, key: &'static str) -> Result<Option<i32>, Detail> {
        let read = |value: &Value| {
            let integer = value.as_i64().and_then(|integer| integer.try_into().ok());
            integer.ok_or_else(|| self.wrong(key, "a whole number", value))
        };
        self.value(key).map(read).transpose()
    }

    /// True or false.
    pub(crate) fn flag(&self, key: &'static str, default: bool) -> Result<bool, Detail> {
        match self.value(key) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(value) => Err(self.wrong(key, "true or false", value)),
        }
    }

    /// A text.
    pub(crate) fn text(&self, key: &'static str, default: &'static str) -> Result<&str, Detail> {
        match self.value(key) {
            None => Ok(default),
            Some(Value::String(text)) => Ok(text),
            Some(value) => Err(self.wrong(key, "a text", value)),
        }
    }

    /// One of the names that `choices` gives to values; the first unless told otherwise.
    pub(crate) fn one_of<T: Copy>(
        &self,
        key: &'static str,
        choices: &[(T, &'static str)],
    ) -> Result<T, Detail> {
        let text = self.text(key, choices[0].1)?.to_ascii_lowercase();
        let chosen = choices.iter().find(|(_, name)| *name == text);
        chosen.map(|(choice, _)| *choice).ok_or_else(|| {
            let names: Vec<&str> = choices.iter().map(|(_, name)| *name).collect();
            self.wrong(key, &format!("one of {names:?}"), &text.into())
        })
    }

    /// The number of an axis; negative ones count from the end.
    pub(crate) fn axis(&self, key: &'static str, default: isize) -> Result<isize, Detail> {
        match self.value(key) {
            None => Ok(default),
            Some(value) => integer(value).ok_or_else(|| self.wrong(key, "an axis", value)),
        }
    }

    /// Numbers of axes, one or a list; `None` if absent.
    pub(crate) fn axes(&self, key: &'static str) -> Result<Option<Vec<isize>>, Detail> {
        let read = |value: &Value| match value {
            Value::Array(axes) => axes.iter().map(integer).collect::<Option<Vec<_>>>(),
            value => integer(value).map(|axis| vec![axis]),
        };
        self.value(key)
            .map(|value| read(value).ok_or_else(|| self.wrong(key, "an axis or several", value)))
            .transpose()
    }

    /// An error if there are settings that nobody asked for.
    pub(crate) fn finish(&self) -> Result<(), Detail> {
        let asked = self.asked.borrow();
        let unknown = self
            .config
            .iter()
            .find(|(key, value)| !value.is_null() && !asked.contains(&key.as_str()));
        match unknown {
            None => Ok(()),
            Some((key, value)) => Err(Detail::new(
                self.owner,
                "settings that it knows",
                format!("{key:?}: {value}"),
            )
            .help(near(key, asked.iter().copied()))),
        }
    }
}

fn integer(value: &Value) -> Option<isize> {
    value.as_i64().and_then(|integer| integer.try_into().ok())
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
pub(crate) fn require(
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

/// An error unless the number is finite and not negative.
pub(crate) fn require_rate(at: &str, value: f32) -> Result<(), Detail> {
    let holds = value.is_finite() && value >= 0.0;
    require(holds, at, "a number that is not negative", value)
}

/// An error unless the number is a share of the whole.
pub(crate) fn require_share(at: &str, value: f32) -> Result<(), Detail> {
    let holds = (0.0..=1.0).contains(&value);
    require(holds, at, "a number from 0 to 1", value)
}

/// An error unless the number is finite.
pub(crate) fn require_finite(at: &str, value: f32) -> Result<(), Detail> {
    require(value.is_finite(), at, "a finite number", value)
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
            Ok(Pair(
                settings.number("rate", 0.5)?,
                settings.flag("on", true)?,
            ))
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
