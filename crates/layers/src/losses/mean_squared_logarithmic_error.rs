//! The mean square of the errors of logarithms.

use super::define::{loss, mean_of_last};
use crate::formulas::EPSILON;
use regraft_autograd::Var;

loss!(
    /// mean((log(target + 1) − log(prediction + 1))²) over the last axis, in [0, ∞); numbers below
    /// 10⁻⁷ count as 10⁻⁷.
    ///
    /// Keras: <https://keras.io/api/losses/regression_losses/#meansquaredlogarithmicerror-class>.
    MeanSquaredLogarithmicError, "keras.losses.MeanSquaredLogarithmicError", |targets, predictions| {
        let logarithm = |x: Var<'g>| (x.maximum(EPSILON) + 1.0).log();
        mean_of_last((logarithm(predictions) - logarithm(targets)).square())
    }
);
