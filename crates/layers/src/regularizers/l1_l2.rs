//! Magnitudes and squares together.

use regraft_autograd::Var;
use regraft_tensor::Detail;
use serde_json::{Map, Value};

use super::{L1, L2};
use crate::settings::{self, FromSettings, Settings};
use crate::{Configured, RegularizerFunction};

/// `l1 · Σ |w| + l2 · Σ w²`; a factor of 0 costs nothing.
///
/// Keras: <https://keras.io/api/layers/regularizers/#l1l2-class>.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct L1L2 {
    /// The factor of the magnitudes; Keras' default is 0.
    pub l1: f32,
    /// The factor of the squares; Keras' default is 0.
    pub l2: f32,
}

impl Configured for L1L2 {
    fn class_name(&self) -> &str {
        "L1L2"
    }

    fn module(&self) -> &str {
        "keras.regularizers"
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([
            ("l1".to_string(), settings::number(self.l1)),
            ("l2".to_string(), settings::number(self.l2)),
        ])
    }

    fn check(&self) -> Result<(), Detail> {
        settings::require_rate("L1L2.l1", self.l1)?;
        settings::require_rate("L1L2.l2", self.l2)
    }
}

impl FromSettings for L1L2 {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        Ok(L1L2 {
            l1: settings.number("l1", 0.0)?,
            l2: settings.number("l2", 0.0)?,
        })
    }
}

impl RegularizerFunction for L1L2 {
    fn penalty<'g>(&self, weight: Var<'g>) -> Var<'g> {
        let (l1, l2) = (L1 { l1: self.l1 }, L2 { l2: self.l2 });
        match (self.l1 != 0.0, self.l2 != 0.0) {
            (false, false) => weight.graph().number(0.0),
            (true, false) => l1.penalty(weight),
            (false, true) => l2.penalty(weight),
            (true, true) => l1.penalty(weight) + l2.penalty(weight),
        }
    }
}
