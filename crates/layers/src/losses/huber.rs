//! Squares of small errors, magnitudes of large ones.

use regraft_autograd::{DataType, Shape, Var};
use regraft_tensor::Detail;

use super::define::{like, mean_of_last};
use crate::Loss;
use crate::settings::require_positive;

settings! {
    /// The mean over the last axis of error² / 2 where |error| ≤ `delta`, else delta · (|error| − delta
    /// / 2), in [0, ∞). Huber 1964 (<https://doi.org/10.1214/aoms/1177703732>).
    ///
    /// Keras forgets the delta when it saves a configuration; it is written here, and Keras reads it.
    ///
    /// Keras: <https://keras.io/api/losses/regression_losses/#huber-class>.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct Huber as "keras.losses.Huber" {
        /// The error at which squares end; Keras' default is 1.
        pub delta: f32 = 1.0 => require_positive,
    }
}

impl Loss for Huber {
    fn targets(&self, predictions: &Shape) -> Result<(Shape, DataType), Detail> {
        like(predictions)
    }

    fn call<'g>(&self, targets: Var<'g>, predictions: Var<'g>) -> Var<'g> {
        let error = predictions - targets;
        // error² / 2 within the bounds, and along the tangent outside.
        let bounded = error.clip(-self.delta, self.delta);
        mean_of_last(bounded * (error - bounded * 0.5))
    }
}
