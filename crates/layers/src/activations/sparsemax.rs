//! `sparsemax`.

use regraft_autograd::Var;
use regraft_tensor::Detail;
use serde_json::{Map, Value};

use super::define;
use crate::axis::along;
use crate::settings::{FromSettings, Settings};
use crate::{ActivationFunction, Configured};

/// The point nearest to x with numbers ≥ 0 along `axis` that add up to 1: max(x − τ, 0) for the τ
/// that makes it so. Unlike `softmax` it gives exact zeros.
///
/// Martins and Astudillo 2016 (<https://arxiv.org/abs/1602.02068>);
/// Keras: <https://keras.io/api/layers/activations/#sparsemax-function>. As of Keras 3.15 its
/// numbers are others wherever more than one of a row is above 0: there they do not add up to 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sparsemax {
    /// The axis; Keras' default is the last, −1.
    pub axis: isize,
}

impl Default for Sparsemax {
    fn default() -> Self {
        Sparsemax { axis: -1 }
    }
}

impl Configured for Sparsemax {
    fn class_name(&self) -> &str {
        "sparsemax"
    }

    fn module(&self) -> &str {
        define::module(*self == Self::default())
    }

    fn config(&self) -> Map<String, Value> {
        if *self == Self::default() {
            return Map::new();
        }
        Map::from_iter([("axis".to_string(), self.axis.into())])
    }
}

impl FromSettings for Sparsemax {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        let default = Sparsemax::default();
        settings.ignore(define::LAYER_SETTINGS);
        Ok(Sparsemax {
            axis: settings.axis("axis", default.axis)?,
        })
    }
}

impl ActivationFunction for Sparsemax {
    fn apply<'g>(&self, x: Var<'g>) -> Var<'g> {
        along("sparsemax", x, self.axis, Var::sparsemax)
    }
}
