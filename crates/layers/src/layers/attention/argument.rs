//! Which of a call's inputs is which: Keras' layers of attention take them by name.

use regraft_tensor::Detail;
use serde_json::{Value, json};

use crate::settings::{Given, IntoSetting, Setting};

/// One of what attention is called with, under Keras' name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AttentionInput {
    /// `query`: what looks.
    Query,
    /// `value`: what is added up.
    Value,
    /// `key`: what is looked at; the value unless given.
    Key,
    /// `query_mask`, which Keras takes and does not look at: the mask that comes with the query counts.
    QueryMask,
    /// `value_mask`, in the place of the mask that comes with the value.
    ValueMask,
    /// `key_mask`, in the place of the mask that comes with the key.
    KeyMask,
    /// `attention_mask`: for each query which keys it sees.
    AttentionMask,
}

use AttentionInput::{AttentionMask, Key, KeyMask, Query, QueryMask, ValueMask};

impl AttentionInput {
    /// All, in the order in which Keras takes them.
    pub(crate) const ALL: [(AttentionInput, &'static str); 7] = [
        (Query, "query"),
        (AttentionInput::Value, "value"),
        (Key, "key"),
        (QueryMask, "query_mask"),
        (ValueMask, "value_mask"),
        (KeyMask, "key_mask"),
        (AttentionMask, "attention_mask"),
    ];

    fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

/// What the inputs of a call are, in their order; without any, two are query and value, and three query, value and
/// key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttentionInputs(Vec<AttentionInput>);

impl Setting for AttentionInputs {
    fn read(given: Given<'_>) -> Result<Self, Detail> {
        let named = |name: &Value| {
            let found = AttentionInput::ALL.iter().find(|(_, known)| name == known);
            found.map(|(input, _)| *input)
        };
        let names = given.value.as_array().map(Vec::as_slice);
        let inputs: Option<Vec<AttentionInput>> =
            names.unwrap_or_default().iter().map(named).collect();
        inputs
            .map(AttentionInputs)
            .ok_or_else(|| given.wrong("names of inputs of attention"))
    }

    fn write(&self) -> Value {
        let names: Vec<&str> = self.0.iter().map(|input| input.name()).collect();
        json!(names)
    }
}

impl<const N: usize> IntoSetting<AttentionInputs> for [AttentionInput; N] {
    fn into_setting(self) -> AttentionInputs {
        AttentionInputs(self.to_vec())
    }
}

impl AttentionInputs {
    /// Checks that so many inputs have a place, each its own.
    pub(super) fn check(&self, count: usize) -> Result<(), Detail> {
        let given = self.of(count);
        let distinct = (1..given.len()).all(|at| !given[..at].contains(&given[at]));
        let both = given.contains(&Query) && given.contains(&AttentionInput::Value);
        if given.len() == count && distinct && both {
            return Ok(());
        }
        let expected = "a query and a value, and a name for each further input";
        let received = format!("{count} inputs, named {}", self.write());
        let help = "two are query and value, three query, value and key; `inputs` names others";
        Err(Detail::new("inputs", expected, received).help(help))
    }

    /// What each of so many inputs is.
    fn of(&self, count: usize) -> Vec<AttentionInput> {
        match self.0.is_empty() {
            true => [Query, AttentionInput::Value, Key][..count.min(3)].to_vec(),
            false => self.0.clone(),
        }
    }

    /// Where an input is among so many.
    pub(super) fn place(&self, input: AttentionInput, count: usize) -> Option<usize> {
        self.of(count).iter().position(|given| *given == input)
    }

    /// Where query, value and key are; the key is the value unless given.
    pub(super) fn places(&self, count: usize) -> [usize; 3] {
        let value = self.place(AttentionInput::Value, count).unwrap_or(0);
        let place = |input, other| self.place(input, count).unwrap_or(other);
        [place(Query, 0), value, place(Key, value)]
    }
}
