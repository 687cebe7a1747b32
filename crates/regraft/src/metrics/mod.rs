//! Metrics: numbers that say how good predictions are, with Keras' names, defaults and semantics.
//!
//! A metric is updated batch by batch and asked for its result at the end of an epoch. Sums are kept
//! in `f64`, so the result does not depend on how the data were cut into batches, and an update
//! allocates nothing once the first batch has been seen.
//!
//! A metric of your own is a type with four methods:
//!
//! ```
//! use regraft::metrics::{Batch, Metric, Result};
//!
//! /// The share of predictions within `0.1` of their target.
//! #[derive(Debug, Default)]
//! struct Close {
//!     close: f64,
//!     all: f64,
//! }
//!
//! impl Metric for Close {
//!     fn name(&self) -> &str {
//!         "close"
//!     }
//!     fn reset(&mut self) {
//!         *self = Close::default();
//!     }
//!     fn update(&mut self, batch: &Batch<'_>) -> Result<()> {
//!         batch.check(self.name())?;
//!         for (target, predicted) in batch.values(self.name())?.iter().zip(batch.predictions) {
//!             self.close += f64::from((target - predicted).abs() <= 0.1);
//!             self.all += 1.0;
//!         }
//!         Ok(())
//!     }
//!     fn result(&self) -> f64 {
//!         self.close / self.all
//!     }
//! }
//! ```

mod accuracy;
mod auc;
mod batch;
mod by_name;
mod confusion_matrix;
mod counts;
mod crossentropy;
mod divergence;
mod error;
mod f_score;
mod hinge;
mod into_metrics;
mod mean;
mod named;
mod precision_recall;
mod r2;
mod regression;
mod report;
mod top_k;

use std::fmt::Debug;

pub use accuracy::{Accuracy, BinaryAccuracy, CategoricalAccuracy, SparseCategoricalAccuracy};
pub use auc::{Auc, Curve, Summation};
pub use batch::{Batch, Targets};
pub use by_name::by_name;
pub use confusion_matrix::ConfusionMatrix;
pub use counts::{FalseNegatives, FalsePositives, TrueNegatives, TruePositives};
pub use crossentropy::{
    BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy,
};
pub use divergence::{KLDivergence, Poisson};
pub use error::{Error, Result};
pub use f_score::{Average, F1Score, FBetaScore};
pub use hinge::{CategoricalHinge, Hinge, SquaredHinge};
pub use into_metrics::{IntoMetric, IntoMetrics};
pub use mean::{Mean, WeightedMean};
pub use named::{Named, named};
pub use precision_recall::{Precision, Recall};
pub use r2::{Aggregation, R2Score};
pub use regression::{
    CosineSimilarity, LogCoshError, MeanAbsoluteError, MeanAbsolutePercentageError,
    MeanSquaredError, MeanSquaredLogarithmicError, RootMeanSquaredError,
};
pub use report::{ClassReport, ClassScore};
pub use top_k::{SparseTopKCategoricalAccuracy, TopKCategoricalAccuracy};

/// Something measured over batches.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a metric",
    label = "expected a metric, such as `metrics::Accuracy`",
    note = "a metric of your own implements `Metric`: name, reset, update and result; \
            a name such as \"accuracy\" becomes a metric with `metrics::by_name`"
)]
pub trait Metric: Debug + Send {
    /// The name it has in a history and a progress bar, in Keras' spelling (`"accuracy"`).
    fn name(&self) -> &str;

    /// Forgets all batches.
    fn reset(&mut self);

    /// Takes one more batch into account.
    ///
    /// # Errors
    /// If the batch does not suit the metric; the metric is then as it was before.
    fn update(&mut self, batch: &Batch<'_>) -> Result<()>;

    /// The metric over all batches since the last reset.
    fn result(&self) -> f64;

    /// All numbers of a metric that has several, such as one per class or threshold.
    fn results(&self) -> Vec<f64> {
        vec![self.result()]
    }

    /// Whether a larger result is better; `None` if the metric does not say.
    fn direction(&self) -> Option<Direction> {
        None
    }
}

/// Which way a metric gets better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Larger is better, as for an accuracy.
    Up,
    /// Smaller is better, as for an error.
    Down,
}
