//! What a callback must know to go on after an interruption.

use std::collections::BTreeMap;

use regraft_tensor::{Detail, Tensor};
use serde_json::Value;

use crate::{Error, Result};

/// What a callback remembers from epoch to epoch: numbers, other values, tensors, each by a name. It is
/// part of every [backup](super::BackupAndRestore).
///
/// ```
/// use regraft::callbacks::CallbackState;
///
/// let state = CallbackState::new().number("best", 0.1).value("names", ["a", "b"]);
/// assert_eq!(state.get_number("best"), Some(0.1));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallbackState {
    /// As their bits, so that they come back the same, whatever they are.
    numbers: BTreeMap<String, u64>,
    values: BTreeMap<String, Value>,
    tensors: BTreeMap<String, Tensor>,
}

impl CallbackState {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a number, which may be infinite or NaN.
    #[must_use]
    pub fn number(mut self, name: &str, number: impl Into<Option<f64>>) -> Self {
        if let Some(number) = number.into() {
            self.numbers.insert(name.to_string(), number.to_bits());
        }
        self
    }

    /// Adds a whole number, a text, a list, or whatever else JSON has.
    #[must_use]
    pub fn value(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.values.insert(name.to_string(), value.into());
        self
    }

    /// Adds a tensor. Nothing is copied.
    #[must_use]
    pub fn tensor(mut self, name: &str, tensor: Tensor) -> Self {
        self.tensors.insert(name.to_string(), tensor);
        self
    }

    /// The number of this name, if there is one.
    pub fn get_number(&self, name: &str) -> Option<f64> {
        self.numbers.get(name).map(|bits| f64::from_bits(*bits))
    }

    /// The value of this name.
    pub fn get_value(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    /// The count of this name, if there is one.
    pub fn get_count(&self, name: &str) -> Option<usize> {
        self.values.get(name)?.as_u64()?.try_into().ok()
    }

    /// The tensor of this name.
    pub fn get_tensor(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// All tensors.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.tensors
            .iter()
            .map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// The count of this name.
    ///
    /// # Errors
    /// [`Error::File`] if there is none: the state is another callback's.
    pub fn count(&self, name: &str) -> Result<usize> {
        let missing = || {
            let expected = format!("a count {name:?}");
            Error::File(Detail::new("the state of a callback", expected, "none"))
        };
        self.get_count(name).ok_or_else(missing)
    }

    /// Everything but the tensors, as JSON.
    pub(super) fn facts(&self) -> Value {
        serde_json::json!({"numbers": self.numbers, "values": self.values})
    }

    /// From [`facts`](Self::facts) and the tensors.
    pub(super) fn from_facts(facts: &Value, tensors: BTreeMap<String, Tensor>) -> Option<Self> {
        let bits = |(name, bits): (&String, &Value)| Some((name.clone(), bits.as_u64()?));
        let values = facts["values"].as_object()?.iter();
        Some(CallbackState {
            numbers: facts["numbers"]
                .as_object()?
                .iter()
                .map(bits)
                .collect::<Option<_>>()?,
            values: values
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            tensors,
        })
    }
}
