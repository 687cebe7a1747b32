//! The mean square of the errors.

use super::define::{loss, mean_of_last};

loss!(
    /// mean((target − prediction)²) over the last axis, in [0, ∞).
    ///
    /// Keras: <https://keras.io/api/losses/regression_losses/#meansquarederror-class>.
    MeanSquaredError, "keras.losses.MeanSquaredError", |targets, predictions| mean_of_last((targets - predictions).square())
);
