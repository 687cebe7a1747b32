//! Cross-entropy of yes-or-no targets.

use regraft_autograd::{DataType, Shape, Var};
use regraft_tensor::Detail;

use super::Link;
use super::define::{like, smooth};
use super::sigmoid_cross_entropy::{crossentropy, link};
use crate::Loss;
use crate::contract::axis::resolve;
use crate::settings::require_share;

settings! {
    /// −mean(target · log p + (1 − target) · log(1 − p)) along `axis`, in [0, ∞), where p is the
    /// prediction, kept within 10⁻⁷ and 1 − 10⁻⁷, or the sigmoid of a logit, computed without forming
    /// it.
    ///
    /// Keras: <https://keras.io/api/losses/probabilistic_losses/#binarycrossentropy-class>.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct BinaryCrossentropy as "keras.losses.BinaryCrossentropy" {
        /// Whether predictions are logits; Keras' default is that they are probabilities. Where they
        /// are what a sigmoid gives, its logits are taken in either case, because they are exact.
        pub from_logits: bool = false,
        /// How much of each target is given to all classes alike, from 0 to 1; Keras' default is 0.
        pub label_smoothing: f32 = 0.0 => require_share,
        /// The axis of the mean; Keras' default is the last, −1.
        pub axis: isize = -1,
    }
}

impl BinaryCrossentropy {
    /// For a last layer without activation: predictions are logits.
    pub fn from_logits() -> Self {
        BinaryCrossentropy {
            from_logits: true,
            ..Self::default()
        }
    }
}

impl Loss for BinaryCrossentropy {
    fn targets(&self, predictions: &Shape) -> Result<(Shape, DataType), Detail> {
        like(predictions)
    }

    fn call<'g>(&self, targets: Var<'g>, predictions: Var<'g>) -> Var<'g> {
        let Some(axis) = resolve("BinaryCrossentropy", predictions, self.axis) else {
            return predictions;
        };
        let targets = smooth(targets, self.label_smoothing, 0.5);
        crossentropy(targets, predictions, self.from_logits).mean(&[axis])
    }

    fn link(&self, predictions: Var<'_>) -> Option<Link> {
        link(predictions, self.from_logits)
    }
}
