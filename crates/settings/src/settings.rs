//! The settings of one object: read from a Keras configuration, each with its default, checked for its type, and
//! none passed over in silence.

use std::any::Any;
use std::cell::RefCell;

use regraft_tensor::Detail;
use serde_json::Value;

use crate::{Given, IntoSetting, Map, Setting, near};

/// The settings of one object, on their way into a value of its type.
///
/// A setting that is absent or `null` has its default. What nobody asked for by the
/// [end](Self::finish) is an error: it would have changed what the object computes.
#[derive(Debug)]
pub struct Settings<'a> {
    owner: &'a str,
    config: &'a Map,
    context: Option<&'a dyn Any>,
    asked: RefCell<Vec<String>>,
}

impl<'a> Settings<'a> {
    /// The settings of the object `owner`.
    pub fn new(owner: &'a str, config: &'a Map) -> Self {
        Settings {
            owner,
            config,
            context: None,
            asked: RefCell::new(Vec::new()),
        }
    }

    /// With what else is known to who reads: a registry of functions, say.
    pub fn with(self, context: Option<&'a dyn Any>) -> Self {
        Settings { context, ..self }
    }

    /// The name under which the object was asked for.
    pub fn owner(&self) -> &'a str {
        self.owner
    }

    /// What else is known, if it is of this type.
    pub fn context<C: 'static>(&self) -> Option<&'a C> {
        self.context?.downcast_ref()
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

    /// The setting `key`, or its default: if it is absent, and if it is null where that [says
    /// nothing](Setting::NULL).
    ///
    /// # Errors
    /// A value of another type.
    pub fn or<T: Setting>(&self, key: &str, default: impl IntoSetting<T>) -> Result<T, Detail> {
        let null = T::NULL.filter(|_| self.is_null(key));
        Ok(self
            .get(key)?
            .or(null)
            .unwrap_or_else(|| default.into_setting()))
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
    ///
    /// # Errors
    /// A value of another type.
    pub fn text<'s>(&'s self, key: &str, default: &'s str) -> Result<&'s str, Detail> {
        match self.value(key) {
            None => Ok(default),
            Some(Value::String(text)) => Ok(text),
            Some(value) => Err(self.wrong(key, "a text", value)),
        }
    }

    /// One of the names that `choices` gives to values; the first unless told otherwise.
    ///
    /// # Errors
    /// Another name, or a value that is none.
    pub fn one_of<T: Copy>(&self, key: &str, choices: &[(T, &str)]) -> Result<T, Detail> {
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
    pub fn forget(&self, key: &str) {
        self.asked.borrow_mut().retain(|asked| asked != key);
    }

    /// Refuses another value of `key` than `only`.
    ///
    /// # Errors
    /// Another value.
    pub fn only(&self, key: &str, only: &str) -> Result<(), Detail> {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{FromSettings, make};

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
}
