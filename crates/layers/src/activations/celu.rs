//! `celu`.

use regraft_autograd::Var;
use regraft_tensor::Detail;
use serde_json::{Map, Value};

use super::define;
use super::exponential_linear::ExponentialLinear;
use crate::settings::{self, FromSettings, Settings};
use crate::{ActivationFunction, Configured};

/// max(x, 0) + min(0, `alpha` · (exp(x / `alpha`) − 1)), in (−alpha, ∞): `elu` without a kink at 0.
///
/// Barron 2017 (<https://arxiv.org/abs/1704.07483>);
/// Keras: <https://keras.io/api/layers/activations/#celu-function>.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Celu {
    /// How far below 0 it goes, and how wide the bend is; Keras' default is 1.
    pub alpha: f32,
}

impl Default for Celu {
    fn default() -> Self {
        Celu { alpha: 1.0 }
    }
}

impl Configured for Celu {
    fn class_name(&self) -> &str {
        "celu"
    }

    fn module(&self) -> &str {
        define::module(*self == Self::default())
    }

    fn config(&self) -> Map<String, Value> {
        if *self == Self::default() {
            return Map::new();
        }
        Map::from_iter([("alpha".to_string(), settings::number(self.alpha))])
    }

    fn check(&self) -> Result<(), Detail> {
        let holds = self.alpha.is_finite() && self.alpha > 0.0;
        settings::require(holds, "celu.alpha", "a number above 0", self.alpha)
    }
}

impl FromSettings for Celu {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        let default = Celu::default();
        settings.ignore(define::LAYER_SETTINGS);
        Ok(Celu {
            alpha: settings.number("alpha", default.alpha)?,
        })
    }
}

impl ActivationFunction for Celu {
    fn apply<'g>(&self, x: Var<'g>) -> Var<'g> {
        let (scale, alpha, width) = (1.0, self.alpha, self.alpha);
        ExponentialLinear {
            scale,
            alpha,
            width,
        }
        .apply(x)
    }
}
