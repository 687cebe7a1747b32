//! `softmax`.

use regraft_autograd::Var;
use regraft_tensor::Detail;
use serde_json::{Map, Value};

use super::define;
use crate::axis::along;
use crate::settings::{FromSettings, Settings};
use crate::{ActivationFunction, Configured};

/// exp(x) / Σ exp(x) along `axis`: numbers in (0, 1) that add up to 1. The largest x is subtracted
/// first, so that large ones do not overflow.
///
/// Keras: <https://keras.io/api/layers/activations/#softmax-function>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Softmax {
    /// The axis along which they add up to 1; Keras' default is the last, −1.
    pub axis: isize,
}

impl Default for Softmax {
    fn default() -> Self {
        Softmax { axis: -1 }
    }
}

impl Configured for Softmax {
    fn class_name(&self) -> &str {
        match *self == Self::default() {
            true => "softmax",
            false => "Softmax",
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
        Map::from_iter([("axis".to_string(), self.axis.into())])
    }
}

impl FromSettings for Softmax {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        let default = Softmax::default();
        settings.ignore(define::LAYER_SETTINGS);
        Ok(Softmax {
            axis: settings.axis("axis", default.axis)?,
        })
    }
}

impl ActivationFunction for Softmax {
    fn apply<'g>(&self, x: Var<'g>) -> Var<'g> {
        along("softmax", x, self.axis, Var::softmax)
    }
}
