//! The Kullback–Leibler divergence.

use super::define::{last, loss};
use crate::formulas::EPSILON;

loss!(
    /// Σ target · log(target / prediction) over the last axis, in [0, ∞) for distributions; both
    /// are kept within 10⁻⁷ and 1.
    ///
    /// Keras: <https://keras.io/api/losses/probabilistic_losses/#kldivergence-class>.
    KLDivergence, "keras.losses.KLDivergence", |targets, predictions| {
        let (targets, predictions) = (targets.clip(EPSILON, 1.0), predictions.clip(EPSILON, 1.0));
        let terms = targets * (targets / predictions).log();
        terms.sum(&[last(terms)])
    }
);
