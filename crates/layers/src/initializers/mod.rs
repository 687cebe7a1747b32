//! Keras' initializers, one file each (small families share one).
//!
//! A random initializer draws from the key that the model gives it, so a model built again with the
//! same seed has the same weights; the `seed` of a Keras configuration is passed over, because
//! Keras' numbers for it are those of its backend.

#[cfg(test)]
mod golden;

pub use variance_scaling::{Distribution, FanMode};

use regraft_tensor::Detail;
use serde_json::{Map, Value};

use crate::Initializer;
use crate::settings::{self, catalogue};

catalogue! {
    Initializer, Initializer::make:
    constant: Constant ["constant"], Ones ["ones", "one"], Zeros ["zeros", "zero"];
    identity: Identity ["identity", "identity_initializer"];
    named_scalings:
        GlorotNormal ["glorot_normal"] by GlorotNormal::make,
        GlorotUniform ["glorot_uniform"] by GlorotUniform::make,
        HeNormal ["he_normal"] by HeNormal::make,
        HeUniform ["he_uniform"] by HeUniform::make,
        LecunNormal ["lecun_normal"] by LecunNormal::make,
        LecunUniform ["lecun_uniform"] by LecunUniform::make;
    orthogonal: Orthogonal ["orthogonal", "orthogonal_initializer"];
    random_normal: RandomNormal ["random_normal", "normal"];
    random_uniform: RandomUniform ["random_uniform", "uniform"];
    truncated_normal: TruncatedNormal ["truncated_normal"];
    variance_scaling: VarianceScaling ["variance_scaling"];
}

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
pub fn from_config(name: &str, config: &Map<String, Value>) -> Result<Initializer, Detail> {
    settings::make("initializer", TABLE, name, config)
}
