//! The sum of magnitudes.

use regraft_autograd::Var;
use regraft_tensor::Detail;
use serde_json::{Map, Value};

use crate::settings::{self, FromSettings, Settings};
use crate::{Configured, RegularizerFunction};

/// `l1 · Σ |w|`, with gradient 0 where w is 0.
///
/// Keras: <https://keras.io/api/layers/regularizers/#l1-class>.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct L1 {
    /// The factor; Keras' default is 0.01.
    pub l1: f32,
}

impl Default for L1 {
    fn default() -> Self {
        L1 { l1: 0.01 }
    }
}

impl Configured for L1 {
    fn class_name(&self) -> &str {
        "L1"
    }

    fn module(&self) -> &str {
        "keras.regularizers"
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([("l1".to_string(), settings::number(self.l1))])
    }

    fn check(&self) -> Result<(), Detail> {
        settings::require_rate("L1.l1", self.l1)
    }
}

impl FromSettings for L1 {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        let l1 = settings.number("l1", L1::default().l1)?;
        Ok(L1 { l1 })
    }
}

impl RegularizerFunction for L1 {
    fn penalty<'g>(&self, weight: Var<'g>) -> Var<'g> {
        weight.abs().sum_all() * self.l1
    }
}
