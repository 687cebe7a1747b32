//! Cross-entropy with integer classes.

use regraft_autograd::{DataType, Dim, Shape, Var};
use regraft_tensor::Detail;
use serde_json::{Map, Value, json};

use crate::{Configured, Loss};

/// `−log p[class]`, where p is the prediction, or its softmax if predictions are logits.
///
/// Targets are class numbers of the predictions' shape without the last axis. Keras:
/// <https://keras.io/api/losses/probabilistic_losses/#sparsecategoricalcrossentropy-class>.
#[derive(Clone, Copy, Debug, Default)]
pub struct SparseCategoricalCrossentropy {
    /// Whether predictions are logits rather than probabilities (Keras' default is that they are
    /// probabilities).
    pub from_logits: bool,
}

impl SparseCategoricalCrossentropy {
    /// For a last layer without activation: predictions are logits.
    pub fn from_logits() -> Self {
        SparseCategoricalCrossentropy { from_logits: true }
    }
}

impl Configured for SparseCategoricalCrossentropy {
    fn class_name(&self) -> &str {
        "SparseCategoricalCrossentropy"
    }

    fn module(&self) -> &str {
        "keras.losses"
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([("from_logits".to_string(), json!(self.from_logits))])
    }
}

impl Loss for SparseCategoricalCrossentropy {
    fn targets(&self, predictions: &Shape) -> Result<(Shape, DataType), Detail> {
        match predictions.dims() {
            [leading @ .., Dim::Fixed(classes)] if !leading.is_empty() && *classes > 0 => {
                Ok((leading.iter().copied().collect(), DataType::I32))
            }
            _ => Err(Detail::new(
                "",
                "predictions (batch, …, classes)",
                predictions,
            )),
        }
    }

    fn call<'g>(&self, targets: Var<'g>, predictions: Var<'g>) -> Var<'g> {
        let logits = match self.from_logits {
            true => predictions,
            false => predictions.clip(1e-7, 1.0 - 1e-7).log(),
        };
        logits.softmax_cross_entropy(targets)
    }
}
