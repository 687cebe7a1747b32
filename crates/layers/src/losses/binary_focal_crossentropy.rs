//! Cross-entropy of yes-or-no targets that counts hard samples more.

use regraft_autograd::{DataType, Shape, Var};
use regraft_tensor::Detail;

use super::Link;
use super::define::{like, smooth};
use super::sigmoid_cross_entropy::{crossentropy, link};
use crate::Loss;
use crate::contract::axis::resolve;
use crate::settings::{require_rate, require_share};

settings! {
    /// The [binary cross-entropy](super::BinaryCrossentropy) of each output times (1 − p)^`gamma`,
    /// where p is the probability given to what is right, its mean along `axis`, in [0, ∞). With
    /// `apply_class_balancing` times `alpha` where the target is 1, and 1 − alpha where it is 0.
    ///
    /// Lin and others 2017 (<https://arxiv.org/abs/1708.02002>).
    ///
    /// Keras: <https://keras.io/api/losses/probabilistic_losses/#binaryfocalcrossentropy-class>.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct BinaryFocalCrossentropy as "keras.losses.BinaryFocalCrossentropy" {
        /// Whether predictions are logits; Keras' default is that they are probabilities. Where they
        /// are what a sigmoid gives, its logits are taken in either case, because they are exact.
        pub from_logits: bool = false,
        /// How much of each target is given to all classes alike, from 0 to 1; Keras' default is 0.
        pub label_smoothing: f32 = 0.0 => require_share,
        /// The axis of the mean; Keras' default is the last, −1.
        pub axis: isize = -1,
        /// Whether `alpha` counts; Keras' default is that it does not.
        pub apply_class_balancing: bool = false,
        /// The weight of the targets that are 1, from 0 to 1; Keras' default is 0.25.
        pub alpha: f32 = 0.25 => require_share,
        /// How much less well-classified samples count; Keras' default is 2.
        pub gamma: f32 = 2.0 => require_rate,
    }
}

impl Loss for BinaryFocalCrossentropy {
    fn targets(&self, predictions: &Shape) -> Result<(Shape, DataType), Detail> {
        like(predictions)
    }

    fn call<'g>(&self, targets: Var<'g>, predictions: Var<'g>) -> Var<'g> {
        let Some(axis) = resolve("BinaryFocalCrossentropy", predictions, self.axis) else {
            return predictions;
        };
        let targets = smooth(targets, self.label_smoothing, 0.5);
        let p = match self.from_logits {
            true => predictions.sigmoid(),
            false => predictions,
        };
        let right = targets * p + (1.0 - targets) * (1.0 - p);
        let focus = (1.0 - right).powf(self.gamma);
        let mut loss = focus * crossentropy(targets, p, false);
        if self.apply_class_balancing {
            loss = loss * (targets * self.alpha + (1.0 - targets) * (1.0 - self.alpha));
        }
        loss.mean(&[axis])
    }

    fn link(&self, predictions: Var<'_>) -> Option<Link> {
        link(predictions, self.from_logits)
    }
}
