//! `gelu`.

use regraft_autograd::Var;
use regraft_tensor::Detail;
use serde_json::{Map, Value};

use super::define;
use crate::settings::{FromSettings, Settings};
use crate::{ActivationFunction, Configured};

/// x · Φ(x), in [−0.17, ∞), where Φ is the distribution function of the standard normal
/// distribution; or its approximation x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³))).
///
/// Hendrycks and Gimpel 2016 (<https://arxiv.org/abs/1606.08415>);
/// Keras: <https://keras.io/api/layers/activations/#gelu-function>.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gelu {
    /// Whether to approximate by a hyperbolic tangent; Keras does not unless told so.
    pub approximate: bool,
}

impl Configured for Gelu {
    fn class_name(&self) -> &str {
        "gelu"
    }

    fn module(&self) -> &str {
        define::module(*self == Self::default())
    }

    fn config(&self) -> Map<String, Value> {
        if *self == Self::default() {
            return Map::new();
        }
        Map::from_iter([("approximate".to_string(), self.approximate.into())])
    }
}

impl FromSettings for Gelu {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        let default = Gelu::default();
        settings.ignore(define::LAYER_SETTINGS);
        Ok(Gelu {
            approximate: settings.flag("approximate", default.approximate)?,
        })
    }
}

impl ActivationFunction for Gelu {
    fn apply<'g>(&self, x: Var<'g>) -> Var<'g> {
        match self.approximate {
            true => x.gelu_tanh(),
            false => x.gelu(),
        }
    }
}
