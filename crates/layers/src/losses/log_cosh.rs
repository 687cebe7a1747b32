//! The logarithm of the hyperbolic cosine of the errors.

use super::define::{loss, mean_of_last};
use std::f32::consts::LN_2;

loss!(
    /// mean(log(cosh(prediction − target))) over the last axis, in [0, ∞): near error² / 2 for
    /// small errors and |error| − log 2 for large ones, which it computes without overflow.
    ///
    /// Keras: <https://keras.io/api/losses/regression_losses/#logcosh-class>.
    LogCosh, "keras.losses.LogCosh", |targets, predictions| {
        let error = predictions - targets;
        mean_of_last(error + (error * -2.0).softplus() - LN_2)
    }
);
