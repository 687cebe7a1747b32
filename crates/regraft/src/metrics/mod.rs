//! Metrics: numbers that say how good predictions are, with Keras' names, defaults and semantics.
//!
//! A metric is updated batch by batch and asked for its result at the end of an epoch. Sums are kept
//! in `f64`, so the result does not depend on how the data were cut into batches, and an update
//! allocates nothing once the first batch has been seen.
//!
//! A metric of your own is a type with four methods. Settings are declared as those here are: field, default,
//! setter, and both directions of the configuration in a file.
//!
//! ```
//! use regraft::Registry;
//! use regraft::extend::{FromSettings, settings};
//! use regraft::metrics::{Batch, Metric, Result};
//!
//! settings! {
//!     /// The share of predictions near their target.
//!     #[derive(Clone, Debug)]
//!     pub struct Close as "Close" {
//!         /// Within `0.1`.
//!         new()
//!         /// Within this distance. Default 0.1.
//!         distance: f64 = 0.1,
//!     }
//!     state { close: f64 = 0.0, all: f64 = 0.0 }
//! }
//!
//! impl Metric for Close {
//!     fn name(&self) -> &str {
//!         "close"
//!     }
//!     fn reset(&mut self) {
//!         (self.close, self.all) = (0.0, 0.0);
//!     }
//!     fn update(&mut self, batch: &Batch<'_>) -> Result<()> {
//!         batch.check(self.name())?;
//!         for (target, predicted) in batch.values(self.name())?.iter().zip(batch.predictions) {
//!             let distance = f64::from((target - predicted).abs());
//!             self.close += f64::from(distance <= self.distance);
//!             self.all += 1.0;
//!         }
//!         Ok(())
//!     }
//!     fn result(&self) -> f64 {
//!         self.close / self.all
//!     }
//! }
//!
//! let mut registry = Registry::new();
//! registry.register_metric("Close", Close::from_settings);
//! let saved = Close::new().distance(0.5).serialize();
//! assert_eq!(saved["config"]["distance"], 0.5);
//! assert_eq!(registry.metric(&saved)?.serialize(), saved);
//! # Ok::<(), regraft::metrics::Error>(())
//! ```

mod accuracy;
mod along;
mod auc;
mod batch;
mod by_name;
mod cloned;
mod confusion_matrix;
mod correlation;
mod counts;
mod crossentropy;
mod divergence;
mod error;
mod exact_accuracy;
mod f_score;
mod from_config;
mod hinge;
mod into_metrics;
mod iou;
mod known;
mod masked;
mod mean;
mod named;
mod precision_recall;
mod probabilities;
mod r2;
mod regression;
mod report;
mod sensitivity;
mod settings;
mod top_k;

use std::any::Any;

pub(crate) use accuracy::argmax;
pub use accuracy::{Accuracy, BinaryAccuracy, CategoricalAccuracy, SparseCategoricalAccuracy};
pub use auc::{Auc, Curve, Summation};
pub use batch::{Batch, Targets};
pub use by_name::by_name;
pub(crate) use by_name::following_confusion_matrix;
pub use cloned::CloneMetric;
pub use confusion_matrix::ConfusionMatrix;
pub use correlation::{ConcordanceCorrelation, PearsonCorrelation};
pub use counts::{FalseNegatives, FalsePositives, Thresholds, TrueNegatives, TruePositives};
pub use crossentropy::{
    BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy,
};
pub use divergence::{KLDivergence, Poisson};
pub use error::{Error, Result};
pub use exact_accuracy::ExactAccuracy;
pub use f_score::{Average, F1Score, FBetaScore};
pub use from_config::from_config;
pub(crate) use from_config::from_config_with;
pub use hinge::{CategoricalHinge, Hinge, SquaredHinge};
pub use into_metrics::{IntoMetric, IntoMetrics};
pub use iou::{BinaryIoU, IoU, MeanIoU, OneHotIoU, OneHotMeanIoU};
pub(crate) use masked::update_masked;
pub use mean::{Mean, Sum, WeightedMean};
pub use named::{Named, named};
pub use precision_recall::{Precision, Recall};
pub use r2::{Aggregation, R2Score};
pub use regression::{
    CosineSimilarity, LogCoshError, MeanAbsoluteError, MeanAbsolutePercentageError,
    MeanSquaredError, MeanSquaredLogarithmicError, RootMeanSquaredError,
};
pub use report::{ClassReport, ClassScore};
pub use sensitivity::{
    PrecisionAtRecall, RecallAtPrecision, SensitivityAtSpecificity, SpecificityAtSensitivity,
};
pub use top_k::{SparseTopKCategoricalAccuracy, TopKCategoricalAccuracy};

use regraft_layers::losses::Link;
use regraft_layers::{Class, Configured};
use serde_json::{Map, Value, json};

/// Something measured over batches.
///
/// The class under which a file keeps it, and its settings, are those of [`Configured`]; of a metric of
/// your own `registry.register_metric` brings it back.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a metric",
    label = "expected a metric, such as `metrics::Accuracy`",
    note = "a metric of your own implements `Metric`: name, reset, update and result; \
            a name such as \"accuracy\" becomes a metric with `metrics::by_name`"
)]
pub trait Metric: Configured + CloneMetric + Any {
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

    /// Whether rows of predictions with a mask that do not count (padding) are left out: the metric is
    /// then given the rows as samples, with the mask as their weights. As in Keras, means of a function
    /// of each row say yes; others, and those of your own unless they say so, count all rows. In a model of
    /// Keras 2, where masks weigh for every metric, it is not asked.
    fn looks_at_masks(&self) -> bool {
        self.inner().is_some_and(Metric::looks_at_masks)
    }

    /// Whether a larger result is better; `None` if the metric does not say.
    fn direction(&self) -> Option<Direction> {
        None
    }

    /// As Keras keeps it in a file: the class with the name and the settings, or for one that was
    /// given by name that name alone. [`from_config`] reads it.
    fn serialize(&self) -> Value {
        let mut config = Map::new();
        config.insert("name".to_string(), self.name().into());
        config.insert("dtype".to_string(), "float32".into());
        config.extend(self.config());
        let Class { name, module, .. } = self.class();
        let known = !module.is_empty();
        json!({
            "module": known.then_some(module),
            "class_name": name,
            "config": config,
            "registered_name": (!known).then_some(name),
        })
    }

    /// The metric that this one stands for, if it only gives it another name.
    fn inner(&self) -> Option<&dyn Metric> {
        None
    }

    /// Told what makes probabilities of the model's outputs, where the loss takes them for logits. A
    /// metric [by name](by_name) follows; one that was given as a value takes the outputs as it says
    /// itself, so the default does nothing.
    fn follow(&mut self, _link: Option<Link>) {}

    /// Whether it can be computed from logits themselves, which it then is from now on. A metric by
    /// name asks the one it stands for; the others are given probabilities.
    fn takes_logits(&mut self, _link: Link) -> bool {
        false
    }
}

impl dyn Metric {
    /// The metric as the type `M`, if it is one or stands for one.
    ///
    /// ```
    /// use regraft::metrics::{self, Auc};
    ///
    /// assert!(metrics::by_name("auc")?.get::<Auc>().is_some());
    /// # Ok::<(), metrics::Error>(())
    /// ```
    pub fn get<M: Metric>(&self) -> Option<&M> {
        let any: &dyn Any = self;
        any.downcast_ref().or_else(|| self.inner()?.get())
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
