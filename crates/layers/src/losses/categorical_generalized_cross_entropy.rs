//! Cross-entropy that forgives wrong labels.

use regraft_autograd::{DataType, Dim, Shape, Var};
use regraft_tensor::Detail;

use super::define::{class_numbers, last};
use crate::Loss;
use crate::settings::require;

settings! {
    /// (1 − p^`q`) / q, in [0, 1 / q], where p is the predicted probability of the target, a class
    /// number. For q near 0 it is the cross-entropy, for q near 1 the mean absolute error, which wrong
    /// labels disturb less.
    ///
    /// Zhang and Sabuncu 2018 (<https://arxiv.org/abs/1805.07836>).
    ///
    /// Keras:
    /// <https://keras.io/api/losses/probabilistic_losses/#categoricalgeneralizedcrossentropy-class>.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct CategoricalGeneralizedCrossEntropy as
        "keras.losses.CategoricalGeneralizedCrossEntropy" {
        /// Where between the two it is, from 0 to 1, both excluded; Keras' default is 0.5.
        pub q: f32 = 0.5 => require_within,
    }
}

/// An error unless the number is above 0 and below 1.
fn require_within(at: &str, value: f32) -> Result<(), Detail> {
    let holds = value > 0.0 && value < 1.0;
    require(holds, at, "a number within 0 and 1", value)
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
