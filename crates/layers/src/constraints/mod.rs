//! Keras' constraints, one file each.

mod non_neg;

pub use non_neg::NonNeg;

use regraft_tensor::Detail;
use serde_json::{Map, Value};

use crate::Constraint;
use crate::names::near;

const NAMES: &[&str] = &["non_neg"];

/// The constraint that Keras calls `name` (`NonNeg` or `non_neg`), with these settings.
///
/// # Errors
/// A name that is not known (the nearest are listed) or a setting that has no meaning.
pub fn from_config(name: &str, _config: &Map<String, Value>) -> Result<Constraint, Detail> {
    Ok(match crate::snake_case(name).as_str() {
        "non_neg" => NonNeg.into(),
        _ => {
            return Err(Detail::new(
                "constraint",
                "the name of a constraint",
                format!("{name:?}"),
            )
            .help(near(name, NAMES.iter().copied())));
        }
    })
}
