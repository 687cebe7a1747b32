//! Keras' initializers, one file each (small families share one).
//!
//! A random initializer draws from the key that the model gives it, so a model built again with the
//! same seed has the same weights; the `seed` of a Keras configuration is passed over, because
//! Keras' numbers for it are those of its backend.

mod constant;
#[cfg(test)]
mod golden;
mod identity;
mod named_scalings;
mod orthogonal;
mod random_normal;
mod random_uniform;
mod truncated_normal;
mod variance_scaling;

pub use constant::{Constant, Ones, Zeros};
pub use identity::Identity;
pub use named_scalings::{
    GlorotNormal, GlorotUniform, HeNormal, HeUniform, LecunNormal, LecunUniform,
};
pub use orthogonal::Orthogonal;
pub use random_normal::RandomNormal;
pub use random_uniform::RandomUniform;
pub use truncated_normal::TruncatedNormal;
pub use variance_scaling::{Distribution, FanMode, VarianceScaling};

use regraft_tensor::Detail;
use serde_json::{Map, Value};

use crate::Initializer;
use crate::settings::{self, Maker};

const TABLE: &[Maker<Initializer>] = &[
    (&["zeros", "zero"], Initializer::make::<Zeros>),
    (&["ones", "one"], Initializer::make::<Ones>),
    (&["constant"], Initializer::make::<Constant>),
    (
        &["identity", "identity_initializer"],
        Initializer::make::<Identity>,
    ),
    (
        &["random_normal", "normal"],
        Initializer::make::<RandomNormal>,
    ),
    (
        &["random_uniform", "uniform"],
        Initializer::make::<RandomUniform>,
    ),
    (&["truncated_normal"], Initializer::make::<TruncatedNormal>),
    (&["variance_scaling"], Initializer::make::<VarianceScaling>),
    (&["glorot_uniform"], GlorotUniform::make),
    (&["glorot_normal"], GlorotNormal::make),
    (&["he_uniform"], HeUniform::make),
    (&["he_normal"], HeNormal::make),
    (&["lecun_uniform"], LecunUniform::make),
    (&["lecun_normal"], LecunNormal::make),
    (
        &["orthogonal", "orthogonal_initializer"],
        Initializer::make::<Orthogonal>,
    ),
];

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
