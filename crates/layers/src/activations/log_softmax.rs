//! `log_softmax`.

use regraft_autograd::Var;
use regraft_tensor::Detail;
use serde_json::{Map, Value};

use super::define;
use crate::axis::along;
use crate::settings::{FromSettings, Settings};
use crate::{ActivationFunction, Configured};

/// x − log Σ exp(x) along `axis`, in (−∞, 0]: the logarithm of `softmax`, computed without
/// forming it.
///
/// Keras: <https://keras.io/api/layers/activations/#log_softmax-function>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSoftmax {
    /// The axis; Keras' default is the last, −1.
    pub axis: isize,
}

impl Default for LogSoftmax {
    fn default() -> Self {
        LogSoftmax { axis: -1 }
    }
}

impl Configured for LogSoftmax {
    fn class_name(&self) -> &str {
        "log_softmax"
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

impl FromSettings for LogSoftmax {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        let default = LogSoftmax::default();
        settings.ignore(define::LAYER_SETTINGS);
        Ok(LogSoftmax {
            axis: settings.axis("axis", default.axis)?,
        })
    }
}

impl ActivationFunction for LogSoftmax {
    fn apply<'g>(&self, x: Var<'g>) -> Var<'g> {
        along("log_softmax", x, self.axis, Var::log_softmax)
    }
}
