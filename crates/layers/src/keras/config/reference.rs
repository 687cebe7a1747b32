//! What a call takes, as configurations name it.

use regraft_tensor::Detail;
use serde_json::Value;

use crate::settings::brief;

/// What a list of calls refers to, before names are resolved.
#[derive(Clone, Copy)]
pub(super) struct Reference<'v> {
    pub name: &'v str,
    pub call: usize,
    pub output: usize,
    /// The key under which it is an input of a nested model, if it has one.
    pub key: Option<&'v str>,
    /// Keras 2 counts the calls of nested models from 1.
    pub keras2: bool,
}

/// `["name", call, output]`, and in Keras 2 a fourth item, which the caller reads.
pub(super) fn read_history(history: &Value, keras2: bool) -> Result<Reference<'_>, Detail> {
    let number = |index: usize| {
        history[index]
            .as_u64()
            .and_then(|n| usize::try_from(n).ok())
    };
    match (history[0].as_str(), number(1), number(2)) {
        (Some(name), Some(call), Some(output)) => Ok(Reference {
            name,
            call,
            output,
            key: None,
            keras2,
        }),
        _ => {
            let expected = "[\"layer\", call, output]";
            Err(Detail::new("", expected, brief(history)))
        }
    }
}
