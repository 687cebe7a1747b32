//! The hinge loss between classes.

use super::define::{last, loss};

loss!(
    /// max(1 + max((1 − target) · prediction) − Σ target · prediction, 0) over the last axis, in
    /// [0, ∞), for one-hot targets: how far the best wrong class comes within 1 of the right one.
    ///
    /// Keras: <https://keras.io/api/losses/hinge_losses/#categoricalhinge-class>.
    CategoricalHinge, "keras.losses.CategoricalHinge", |targets, predictions| {
        let axis = [last(predictions)];
        let right = (targets * predictions).sum(&axis);
        let wrong = ((1.0 - targets) * predictions).max(&axis);
        (wrong - right + 1.0).maximum(0.0)
    }
);
