//! Keras' initializers, one file each (small families share one).

mod constant;
mod variance_scaling;

pub use constant::{Constant, Ones, Zeros};
pub use variance_scaling::GlorotUniform;

use regraft_tensor::Detail;
use serde_json::{Map, Value};

use crate::Initializer;
use crate::names::near;

const NAMES: &[&str] = &["zeros", "ones", "glorot_uniform"];

impl Initializer {
    /// Zero everywhere.
    pub fn zeros() -> Self {
        Zeros.into()
    }

    /// One everywhere.
    pub fn ones() -> Self {
        Ones.into()
    }
}

/// The initializer that Keras calls `name` (`GlorotUniform` or `glorot_uniform`), with these
/// settings.
///
/// # Errors
/// A name that is not known (the nearest are listed) or a setting that has no meaning.
pub fn from_config(name: &str, _config: &Map<String, Value>) -> Result<Initializer, Detail> {
    Ok(match crate::snake_case(name).as_str() {
        "zeros" => Zeros.into(),
        "ones" => Ones.into(),
        "glorot_uniform" => GlorotUniform.into(),
        _ => {
            let received = format!("{name:?}");
            return Err(
                Detail::new("initializer", "the name of an initializer", received)
                    .help(near(name, NAMES.iter().copied())),
            );
        }
    })
}
