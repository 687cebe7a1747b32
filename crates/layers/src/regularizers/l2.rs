//! The sum of squares.

use regraft_autograd::Var;
use regraft_tensor::Detail;
use serde_json::{Map, Value};

use crate::settings::{self, FromSettings, Settings};
use crate::{Configured, RegularizerFunction};

/// `l2 · Σ w²`.
///
/// Keras: <https://keras.io/api/layers/regularizers/#l2-class>.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct L2 {
    /// The factor; Keras' default is 0.01.
    pub l2: f32,
}

impl Default for L2 {
    fn default() -> Self {
        L2 { l2: 0.01 }
    }
}

impl Configured for L2 {
    fn class_name(&self) -> &str {
        "L2"
    }

    fn module(&self) -> &str {
        "keras.regularizers"
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([("l2".to_string(), settings::number(self.l2))])
    }

    fn check(&self) -> Result<(), Detail> {
        settings::require_rate("L2.l2", self.l2)
    }
}

impl FromSettings for L2 {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        let l2 = settings.number("l2", L2::default().l2)?;
        Ok(L2 { l2 })
    }
}

impl RegularizerFunction for L2 {
    fn penalty<'g>(&self, weight: Var<'g>) -> Var<'g> {
        weight.square().sum_all() * self.l2
    }
}
