//! The hinge loss.

use super::define::{loss, mean_of_last};
use super::signs::signs;

loss!(
    /// mean(max(1 − target · prediction, 0)) over the last axis, in [0, ∞), for targets −1 and 1; a
    /// batch of targets all 0 and 1 is taken as −1 and 1.
    ///
    /// Keras: <https://keras.io/api/losses/hinge_losses/#hinge-class>.
    Hinge, "keras.losses.Hinge", |targets, predictions| {
        mean_of_last((1.0 - signs(targets) * predictions).maximum(0.0))
    }
);
