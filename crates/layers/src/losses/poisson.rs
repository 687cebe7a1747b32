//! The Poisson loss.

use super::define::{loss, mean_of_last};
use crate::formulas::EPSILON;

loss!(
    /// mean(prediction − target · log(prediction + 10⁻⁷)) over the last axis: the predictions are
    /// rates, above 0, of which the targets are counts.
    ///
    /// Keras: <https://keras.io/api/losses/probabilistic_losses/#poisson-class>.
    Poisson, "keras.losses.Poisson", |targets, predictions| {
        mean_of_last(predictions - targets * (predictions + EPSILON).log())
    }
);
