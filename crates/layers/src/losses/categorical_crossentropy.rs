//! Cross-entropy of one-hot targets.

use regraft_autograd::ops::Softmax;
use regraft_autograd::{DataType, Shape, Var};
use regraft_tensor::Detail;

use super::Link;
use super::define::{last, like, smooth_classes};
use crate::contract::axis::{along, resolve};
use crate::formulas::clip_probability;
use crate::settings::require_share;
use crate::{Configured, Loss};

settings! {
    /// −Σ target · log p along `axis`, in [0, ∞), where p is the prediction (divided by the sum, and
    /// kept within 10⁻⁷ and 1 − 10⁻⁷), or the softmax of logits, computed without forming it.
    ///
    /// Keras: <https://keras.io/api/losses/probabilistic_losses/#categoricalcrossentropy-class>.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct CategoricalCrossentropy as "keras.losses.CategoricalCrossentropy" {
        /// Whether predictions are logits; Keras' default is that they are probabilities. Where they
        /// are what a softmax gives, its logits are taken in either case, because they are exact.
        pub from_logits: bool = false,
        /// How much of each target is given to all classes alike, from 0 to 1; Keras' default is 0.
        pub label_smoothing: f32 = 0.0 => require_share,
        /// The axis of the classes; Keras' default is the last, −1.
        pub axis: isize = -1,
    }
}

impl CategoricalCrossentropy {
    /// For a last layer without activation: predictions are logits.
    pub fn from_logits() -> Self {
        CategoricalCrossentropy {
            from_logits: true,
            ..Self::default()
        }
    }
}

impl Loss for CategoricalCrossentropy {
    fn targets(&self, predictions: &Shape) -> Result<(Shape, DataType), Detail> {
        like(predictions)
    }

    fn call<'g>(&self, targets: Var<'g>, predictions: Var<'g>) -> Var<'g> {
        let Some(axis) = resolve("CategoricalCrossentropy", predictions, self.axis) else {
            return predictions;
        };
        let targets = smooth_classes(targets, self.label_smoothing, axis);
        let below = match axis == last(predictions) {
            true => predictions.operands_of::<Softmax>(),
            false => None,
        };
        let logits = match below.as_deref() {
            Some(&[logits]) => Some(logits),
            _ => self.from_logits.then_some(predictions),
        };
        let logarithms = match logits {
            Some(logits) => along(self.class_name(), logits, self.axis, Var::log_softmax),
            None => {
                let sum = predictions.sum_keeping(&[axis]);
                clip_probability(predictions / sum).log()
            }
        };
        -(targets * logarithms).sum(&[axis])
    }

    fn link(&self, predictions: Var<'_>) -> Option<Link> {
        let classes_last =
            resolve(self.class_name(), predictions, self.axis) == Some(last(predictions));
        let given = predictions.operands_of::<Softmax>().is_some();
        (self.from_logits && classes_last && !given).then_some(Link::Softmax)
    }
}
