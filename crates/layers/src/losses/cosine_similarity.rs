//! The cosine of the angle between targets and predictions.

use regraft_autograd::{DataType, Shape, Var};
use regraft_tensor::Detail;
use serde_json::{Map, Value};

use super::define::like;
use crate::axis::resolve;
use crate::formulas::l2_normalize;
use crate::settings::{FromSettings, Settings};
use crate::{Configured, Loss};

/// −Σ target · prediction / (|target| |prediction|) along `axis`, in [−1, 1]: −1 where both point
/// the same way. Zeros have similarity 0.
///
/// Keras forgets the axis when it saves a configuration; it is written here, and Keras reads it.
///
/// Keras: <https://keras.io/api/losses/regression_losses/#cosinesimilarity-class>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CosineSimilarity {
    /// The axis along which they are vectors; Keras' default is the last, −1.
    pub axis: isize,
}

impl Default for CosineSimilarity {
    fn default() -> Self {
        CosineSimilarity { axis: -1 }
    }
}

impl Configured for CosineSimilarity {
    fn class_name(&self) -> &str {
        "CosineSimilarity"
    }

    fn module(&self) -> &str {
        "keras.losses"
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([("axis".to_string(), self.axis.into())])
    }
}

impl FromSettings for CosineSimilarity {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        let default = CosineSimilarity::default();
        Ok(CosineSimilarity {
            axis: settings.axis("axis", default.axis)?,
        })
    }
}

impl Loss for CosineSimilarity {
    fn targets(&self, predictions: &Shape) -> Result<(Shape, DataType), Detail> {
        like(predictions)
    }

    fn call<'g>(&self, targets: Var<'g>, predictions: Var<'g>) -> Var<'g> {
        let Some(axis) = resolve("CosineSimilarity", predictions, self.axis) else {
            return predictions;
        };
        let (targets, predictions) = (
            l2_normalize(targets, &[axis]),
            l2_normalize(predictions, &[axis]),
        );
        -(targets * predictions).sum(&[axis])
    }
}
