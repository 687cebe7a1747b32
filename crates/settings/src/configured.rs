//! What all kinds of things with settings have in common.

use std::fmt;

use regraft_tensor::Detail;
use serde_json::Value;

use crate::{Class, Settings};

/// A configuration: settings under Keras' names.
pub type Map = serde_json::Map<String, Value>;

/// What all kinds have in common, layers, activations, initializers, regularizers, constraints, losses,
/// metrics, update rules and schedules: a class under which files know them, and settings.
/// [`settings!`](macro@crate::settings) implements it from a declaration; a type of your own without settings
/// needs no more than `impl Configured for Mine {}`.
pub trait Configured: fmt::Debug + Send + Sync + 'static {
    /// The class: unless stated otherwise one that Keras does not have, of the name of the type.
    fn class(&self) -> Class<'_> {
        Class::of::<Self>()
    }

    /// The name of the class: `Dense`, `GlorotUniform`, `relu`.
    fn class_name(&self) -> &str {
        self.class().name
    }

    /// The settings, with Keras' names, as files have them. What all of a kind have (`name`,
    /// `trainable`, `dtype`, `reduction`, `learning_rate`) is added by whoever has the object.
    fn config(&self) -> Map {
        Map::new()
    }

    /// Whether the settings have a meaning. Who takes the value over asks, and whoever uses it is told: a model
    /// before it builds a layer, an optimizer where it is put together.
    ///
    /// # Errors
    /// The setting that has none.
    fn check(&self) -> Result<(), Detail> {
        Ok(())
    }
}

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
