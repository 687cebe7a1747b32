//! The squared hinge loss.

use super::define::{loss, mean_of_last};
use super::signs::signs;

loss!(
    /// mean(max(1 − target · prediction, 0)²) over the last axis, in [0, ∞), for targets −1 and 1;
    /// a batch of targets all 0 and 1 is taken as −1 and 1.
    ///
    /// Keras: <https://keras.io/api/losses/hinge_losses/#squaredhinge-class>.
    SquaredHinge, "keras.losses.SquaredHinge", |targets, predictions| {
        let margin = (1.0 - signs(targets) * predictions).maximum(0.0);
        mean_of_last(margin.square())
    }
);
