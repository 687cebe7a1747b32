//! `squareplus`.

use regraft_autograd::Var;
use regraft_tensor::Detail;
use serde_json::{Map, Value};

use super::define;
use crate::settings::{self, FromSettings, Settings};
use crate::{ActivationFunction, Configured};

/// (x + √(x² + `b`)) / 2, in (0, ∞): near `softplus`, without exponentials.
///
/// Barron 2021 (<https://arxiv.org/abs/2112.11687>);
/// Keras: <https://keras.io/api/layers/activations/#squareplus-function>.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Squareplus {
    /// How round the bend is; Keras' default is 4.
    pub b: f32,
}

impl Default for Squareplus {
    fn default() -> Self {
        Squareplus { b: 4.0 }
    }
}

impl Configured for Squareplus {
    fn class_name(&self) -> &str {
        "squareplus"
    }

    fn module(&self) -> &str {
        define::module(*self == Self::default())
    }

    fn config(&self) -> Map<String, Value> {
        if *self == Self::default() {
            return Map::new();
        }
        Map::from_iter([("b".to_string(), settings::number(self.b))])
    }

    fn check(&self) -> Result<(), Detail> {
        settings::require_rate("squareplus.b", self.b)
    }
}

impl FromSettings for Squareplus {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        let default = Squareplus::default();
        settings.ignore(define::LAYER_SETTINGS);
        Ok(Squareplus {
            b: settings.number("b", default.b)?,
        })
    }
}

impl ActivationFunction for Squareplus {
    fn apply<'g>(&self, x: Var<'g>) -> Var<'g> {
        (x + (x.square() + self.b).sqrt()) * 0.5
    }
}
