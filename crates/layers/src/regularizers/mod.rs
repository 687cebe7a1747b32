//! Keras' regularizers, one file each.

mod l2;

pub use l2::L2;

use regraft_tensor::Detail;
use serde_json::{Map, Value};

use crate::Regularizer;
use crate::names::near;

const NAMES: &[&str] = &["l2"];

/// The regularizer that Keras calls `name` (`L2` or `l2`), with these settings.
///
/// # Errors
/// A name that is not known (the nearest are listed) or a setting that has no meaning.
pub fn from_config(name: &str, _config: &Map<String, Value>) -> Result<Regularizer, Detail> {
    Ok(match name {
        "l2" | "L2" => L2 { l2: 0.01 }.into(),
        _ => {
            return Err(Detail::new(
                "regularizer",
                "the name of a regularizer",
                format!("{name:?}"),
            )
            .help(near(name, NAMES.iter().copied())));
        }
    })
}
