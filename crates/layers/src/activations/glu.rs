//! `glu`.

use regraft_autograd::Var;
use regraft_tensor::Detail;
use serde_json::{Map, Value};

use super::define;
use crate::axis::resolve;
use crate::settings::{FromSettings, Settings};
use crate::{ActivationFunction, Configured};

/// a · sigmoid(b), where a and b are the halves of x along `axis`, which must have an even size;
/// the result is half as large along it.
///
/// Dauphin and others 2016 (<https://arxiv.org/abs/1612.08083>);
/// Keras: <https://keras.io/api/layers/activations/#glu-function>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glu {
    /// The axis that is halved; Keras' default is the last, −1.
    pub axis: isize,
}

impl Default for Glu {
    fn default() -> Self {
        Glu { axis: -1 }
    }
}

impl Configured for Glu {
    fn class_name(&self) -> &str {
        "glu"
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

impl FromSettings for Glu {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        let default = Glu::default();
        settings.ignore(define::LAYER_SETTINGS);
        Ok(Glu {
            axis: settings.axis("axis", default.axis)?,
        })
    }
}

impl ActivationFunction for Glu {
    fn apply<'g>(&self, x: Var<'g>) -> Var<'g> {
        match resolve("glu", x, self.axis) {
            Some(axis) => x.glu(axis),
            None => x,
        }
    }
}
