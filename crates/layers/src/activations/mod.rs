//! Keras' activations, one file each (small families share one).

mod linear;
mod relu;
mod softmax;

pub use linear::Linear;
pub use relu::Relu;
pub use softmax::Softmax;

use regraft_tensor::Detail;
use serde_json::{Map, Value};

use crate::Activation;
use crate::names::near;

/// Names that [`from_config`] knows.
const NAMES: &[&str] = &["linear", "relu", "softmax"];

/// The activation that Keras calls `name`, with these settings.
///
/// # Errors
/// A name that is not known (the nearest are listed) or a setting that has no meaning.
pub fn from_config(name: &str, _config: &Map<String, Value>) -> Result<Activation, Detail> {
    Ok(match name {
        "linear" => Linear.into(),
        "relu" => Relu.into(),
        "softmax" => Softmax.into(),
        _ => {
            return Err(Detail::new(
                "activation",
                "the name of an activation",
                format!("{name:?}"),
            )
            .help(near(name, NAMES.iter().copied())));
        }
    })
}
