//! The mean magnitude of the errors.

use super::define::{loss, mean_of_last};

loss!(
    /// mean |target − prediction| over the last axis, in [0, ∞).
    ///
    /// Keras: <https://keras.io/api/losses/regression_losses/#meanabsoluteerror-class>.
    MeanAbsoluteError, "keras.losses.MeanAbsoluteError", |targets, predictions| mean_of_last((targets - predictions).abs())
);
