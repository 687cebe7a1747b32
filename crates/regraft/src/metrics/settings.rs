//! Reading the settings of a metric as Keras keeps them: each with its default, checked for its type,
//! and none passed over in silence.

use std::cell::RefCell;

use regraft_layers::near;
use regraft_tensor::Detail;
use serde_json::{Map, Value};

use super::{Error, Result};

/// The settings of one metric. One that is absent or null has its default.
pub(super) struct Settings<'a> {
    owner: &'a str,
    config: &'a Map<String, Value>,
    asked: RefCell<Vec<&'static str>>,
}

impl<'a> Settings<'a> {
    /// Of the metric `owner`.
    pub fn new(owner: &'a str, config: &'a Map<String, Value>) -> Self {
        Settings {
            owner,
            config,
            // What every metric has is read by whoever makes it.
            asked: RefCell::new(vec!["name", "dtype"]),
        }
    }

    /// The class that is asked for.
    pub fn owner(&self) -> &str {
        self.owner
    }

    /// The value of `key` unless it is absent or null.
    pub fn value(&self, key: &'static str) -> Option<&'a Value> {
        self.asked.borrow_mut().push(key);
        self.config.get(key).filter(|value| !value.is_null())
    }

    /// Whether `key` is there and null, where that means something.
    pub fn is_null(&self, key: &str) -> bool {
        self.config.get(key).is_some_and(Value::is_null)
    }

    /// What is wrong with `key`.
    pub fn wrong(&self, key: &str, expected: &str, received: impl std::fmt::Display) -> Error {
        let at = format!("{}.{key}", self.owner);
        Error::Argument(Detail::new(at, expected, received))
    }

    fn read<T>(
        &self,
        key: &'static str,
        expected: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        let found = read(value);
        found
            .map(Some)
            .ok_or_else(|| self.wrong(key, expected, value))
    }

    /// A number, or none.
    pub fn number(&self, key: &'static str) -> Result<Option<f64>> {
        self.read(key, "a number", Value::as_f64)
    }

    /// A number that must be there.
    pub fn required_number(&self, key: &'static str) -> Result<f64> {
        let missing = || self.wrong(key, "a number", "none");
        self.number(key)?.ok_or_else(missing)
    }

    /// True or false.
    pub fn flag(&self, key: &'static str, default: bool) -> Result<bool> {
        Ok(self
            .read(key, "true or false", Value::as_bool)?
            .unwrap_or(default))
    }

    /// A number of things, or none.
    pub fn count(&self, key: &'static str) -> Result<Option<usize>> {
        let read = |value: &Value| value.as_u64().and_then(|count| count.try_into().ok());
        self.read(key, "a whole number that is not negative", read)
    }

    /// A number of things that must be there.
    pub fn required_count(&self, key: &'static str) -> Result<usize> {
        let missing = || self.wrong(key, "a whole number", "none");
        self.count(key)?.ok_or_else(missing)
    }

    /// A whole number, or none.
    pub fn integer(&self, key: &'static str) -> Result<Option<i64>> {
        self.read(key, "a whole number", Value::as_i64)
    }

    /// Refuses an axis other than the last, of which Keras 2 wrote what it was.
    pub fn last_axis(&self) -> Result<()> {
        match self.integer("axis")? {
            None | Some(-1) => Ok(()),
            Some(axis) => Err(self.wrong("axis", "-1, the last axis", axis)),
        }
    }

    /// Numbers, or none. Keras 3 keeps some as a tensor.
    pub fn numbers(&self, key: &'static str) -> Result<Option<Vec<f64>>> {
        let plain = |value: &Value| match value["class_name"].as_str() {
            Some("__tensor__" | "__numpy__") => value["config"]["value"].clone(),
            _ => value.clone(),
        };
        let list = |value: &Value| value.as_array()?.iter().map(Value::as_f64).collect();
        self.read(key, "numbers", |value| list(&plain(value)))
    }

    /// Class numbers, or none.
    pub fn counts(&self, key: &'static str) -> Result<Option<Vec<usize>>> {
        let one = |value: &Value| value.as_u64().and_then(|count| count.try_into().ok());
        let read = |value: &Value| value.as_array()?.iter().map(one).collect();
        self.read(key, "whole numbers that are not negative", read)
    }

    /// One of the names that `choices` gives to values, whatever the case; none if absent.
    pub fn one_of<T: Copy>(&self, key: &'static str, choices: &[(T, &str)]) -> Result<Option<T>> {
        let names: Vec<&str> = choices.iter().map(|(_, name)| *name).collect();
        self.read(key, &format!("one of {names:?}"), |value| {
            let text = value.as_str()?;
            let found = choices
                .iter()
                .find(|(_, name)| name.eq_ignore_ascii_case(text));
            found.map(|(choice, _)| *choice)
        })
    }

    /// An error if there are settings that nobody asked for: they would have changed the result.
    pub fn finish(&self) -> Result<()> {
        let asked = self.asked.borrow();
        let mut left = self.config.iter();
        match left.find(|(key, value)| !value.is_null() && !asked.contains(&key.as_str())) {
            None => Ok(()),
            Some((key, value)) => Err(Error::Argument(
                Detail::new(
                    self.owner,
                    "settings that it knows",
                    format!("{key:?}: {value}"),
                )
                .help(near(key, asked.iter().copied())),
            )),
        }
    }
}

/// A 32-bit number as the decimal that it was written as: `0.3`, where the nearest 64-bit number
/// would print as `0.30000001192092896`.
pub(super) fn exact(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::NAN)
}

/// Named settings.
pub(super) fn settings<const N: usize>(all: [(&str, Value); N]) -> Map<String, Value> {
    all.into_iter()
        .map(|(key, value)| (key.to_string(), value))
        .collect()
}
