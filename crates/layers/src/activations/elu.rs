//! `elu`.

use regraft_autograd::Var;
use regraft_tensor::Detail;
use serde_json::{Map, Value};

use super::define;
use super::exponential_linear::ExponentialLinear;
use crate::settings::{self, FromSettings, Settings};
use crate::{ActivationFunction, Configured};

/// x where x > 0, else `alpha` · (eˣ − 1), in (−alpha, ∞).
///
/// Clevert, Unterthiner and Hochreiter 2015 (<https://arxiv.org/abs/1511.07289>);
/// Keras: <https://keras.io/api/layers/activations/#elu-function>.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Elu {
    /// How far below 0 it goes; Keras' default is 1.
    pub alpha: f32,
}

impl Default for Elu {
    fn default() -> Self {
        Elu { alpha: 1.0 }
    }
}

impl Configured for Elu {
    fn class_name(&self) -> &str {
        match *self == Self::default() {
            true => "elu",
            false => "ELU",
        }
    }

    fn module(&self) -> &str {
        match *self == Self::default() {
            true => "keras.activations",
            false => "keras.layers",
        }
    }

    fn config(&self) -> Map<String, Value> {
        if *self == Self::default() {
            return Map::new();
        }
        Map::from_iter([("alpha".to_string(), settings::number(self.alpha))])
    }

    fn check(&self) -> Result<(), Detail> {
        settings::require_rate("elu.alpha", self.alpha)
    }
}

impl FromSettings for Elu {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        let default = Elu::default();
        settings.ignore(define::LAYER_SETTINGS);
        Ok(Elu {
            alpha: settings.number("alpha", default.alpha)?,
        })
    }
}

impl ActivationFunction for Elu {
    fn apply<'g>(&self, x: Var<'g>) -> Var<'g> {
        let (scale, alpha, width) = (1.0, self.alpha, 1.0);
        ExponentialLinear {
            scale,
            alpha,
            width,
        }
        .apply(x)
    }
}
