//! The mean magnitude of the errors in percent of the targets.

use super::define::{loss, mean_of_last};
use crate::formulas::EPSILON;

loss!(
    /// 100 · mean(|target − prediction| / max(|target|, 10⁻⁷)) over the last axis, in [0, ∞).
    ///
    /// Keras: <https://keras.io/api/losses/regression_losses/#meanabsolutepercentageerror-class>.
    MeanAbsolutePercentageError, "keras.losses.MeanAbsolutePercentageError", |targets, predictions| {
        let size = targets.abs().maximum(EPSILON);
        mean_of_last(((targets - predictions) / size).abs()) * 100.0
    }
);
