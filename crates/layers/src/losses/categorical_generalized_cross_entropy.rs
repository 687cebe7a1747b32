//! Cross-entropy that forgives wrong labels.

use regraft_autograd::{DataType, Dim, Shape, Var};
use regraft_tensor::Detail;
use serde_json::{Map, Value};

use super::define::{class_numbers, last};
use crate::settings::{self, FromSettings, Settings};
use crate::{Configured, Loss};

/// (1 − p^`q`) / q, in [0, 1 / q], where p is the predicted probability of the target, a class
/// number. For q near 0 it is the cross-entropy, for q near 1 the mean absolute error, which wrong
/// labels disturb less.
///
/// Zhang and Sabuncu 2018 (<https://arxiv.org/abs/1805.07836>).
///
/// Keras:
/// <https://keras.io/api/losses/probabilistic_losses/#categoricalgeneralizedcrossentropy-class>.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CategoricalGeneralizedCrossEntropy {
    /// Where between the two it is, from 0 to 1, both excluded; Keras' default is 0.5.
    pub q: f32,
}

impl Default for CategoricalGeneralizedCrossEntropy {
    fn default() -> Self {
        CategoricalGeneralizedCrossEntropy { q: 0.5 }
    }
}

impl Configured for CategoricalGeneralizedCrossEntropy {
    fn class_name(&self) -> &str {
        "CategoricalGeneralizedCrossEntropy"
    }

    fn module(&self) -> &str {
        "keras.losses"
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([("q".to_string(), settings::number(self.q))])
    }

    fn check(&self) -> Result<(), Detail> {
        let holds = self.q > 0.0 && self.q < 1.0;
        let (at, expected) = (
            "CategoricalGeneralizedCrossEntropy.q",
            "a number within 0 and 1",
        );
        settings::require(holds, at, expected, self.q)
    }
}

impl FromSettings for CategoricalGeneralizedCrossEntropy {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        let default = CategoricalGeneralizedCrossEntropy::default();
        Ok(CategoricalGeneralizedCrossEntropy {
            q: settings.number("q", default.q)?,
        })
    }
}

impl Loss for CategoricalGeneralizedCrossEntropy {
    fn targets(&self, predictions: &Shape) -> Result<(Shape, DataType), Detail> {
        class_numbers(predictions)
    }

    fn call<'g>(&self, targets: Var<'g>, predictions: Var<'g>) -> Var<'g> {
        let axis = last(predictions);
        let Dim::Fixed(classes) = predictions.shape().dims()[axis] else {
            return predictions;
        };
        let p = (predictions * targets.one_hot(classes)).sum(&[axis]);
        (1.0 - p.powf(self.q)) * (1.0 / self.q)
    }
}
