//! `leaky_relu`.

use regraft_autograd::Var;
use regraft_tensor::Detail;
use serde_json::{Map, Value};

use super::define;
use crate::settings::{self, FromSettings, Settings};
use crate::{ActivationFunction, Configured};

/// x where x > 0, else `negative_slope` · x, in (−∞, ∞).
///
/// Maas, Hannun and Ng 2013; Keras: <https://keras.io/api/layers/activations/#leaky_relu-function>.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LeakyRelu {
    /// The slope where x is negative; Keras' default as a function is 0.2 (its layer has 0.3).
    pub negative_slope: f32,
}

impl Default for LeakyRelu {
    fn default() -> Self {
        LeakyRelu {
            negative_slope: 0.2,
        }
    }
}

impl Configured for LeakyRelu {
    fn class_name(&self) -> &str {
        match *self == Self::default() {
            true => "leaky_relu",
            false => "LeakyReLU",
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
        Map::from_iter([(
            "negative_slope".to_string(),
            settings::number(self.negative_slope),
        )])
    }

    fn check(&self) -> Result<(), Detail> {
        settings::require_rate("leaky_relu.negative_slope", self.negative_slope)
    }
}

impl FromSettings for LeakyRelu {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        settings.ignore(define::LAYER_SETTINGS);
        let default = match settings.owner() {
            "LeakyReLU" => 0.3,
            _ => LeakyRelu::default().negative_slope,
        };
        // Keras 2 wrote the layer's slope as `alpha`.
        let slope = settings.number("alpha", default)?;
        Ok(LeakyRelu {
            negative_slope: settings.number("negative_slope", slope)?,
        })
    }
}

impl ActivationFunction for LeakyRelu {
    fn apply<'g>(&self, x: Var<'g>) -> Var<'g> {
        x.leaky_relu(self.negative_slope)
    }
}
