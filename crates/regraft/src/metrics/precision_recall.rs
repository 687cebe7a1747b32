//! How many of the positives found are real, and how many of the real ones are found.

use serde_json::{Map, Value, json};

use super::counts::{Counts, ThresholdCounts, share};
use super::settings::settings;
use super::{Batch, Direction, Metric, Result};

macro_rules! ratio_metric {
    ($(#[$attribute:meta])* $name:ident, $keras:literal, $class:literal, |$counts:ident| $ratio:expr) => {
        $(#[$attribute])*
        ///
        /// Targets count as positive where they are not 0; class numbers count as one-hot rows. All
        /// predictions of a batch are counted together unless [`class_id`](Self::class_id) chooses a
        /// column.
        #[derive(Clone, Debug, Default)]
        pub struct $name {
            counts: ThresholdCounts,
        }

        impl $name {
            /// Over all classes, with a threshold of 0.5.
            pub fn new() -> Self {
                Self::default()
            }

            /// With thresholds between 0 and 1: `results` has one number for each, `result` their
            /// mean.
            ///
            /// # Errors
            /// [`Error::Argument`](super::Error::Argument) without thresholds or with one outside 0
            /// to 1.
            pub fn with_thresholds(thresholds: &[f32]) -> Result<Self> {
                let counts = ThresholdCounts::with_thresholds($keras, thresholds)?;
                Ok($name { counts })
            }

            /// Only the `k` largest predictions of a row can be positive. Without thresholds, all of
            /// them are.
            #[must_use]
            pub fn top_k(mut self, k: usize) -> Self {
                self.counts.top_k = Some(k);
                self
            }

            /// Counts only the predictions and targets of class `class`.
            #[must_use]
            pub fn class_id(mut self, class: usize) -> Self {
                self.counts.class_id = Some(class);
                self
            }

            fn ratio($counts: &Counts) -> f64 {
                $ratio
            }
        }

        impl regraft_layers::FromSettings for $name {
            fn from_settings(
                settings: &regraft_layers::settings::Settings<'_>,
            ) -> Result<Self, regraft_tensor::Detail> {
                let counts = ThresholdCounts::from_settings(settings, true)?;
                Ok($name { counts })
            }
        }

        impl Metric for $name {
            fn name(&self) -> &str {
                $keras
            }

            fn reset(&mut self) {
                self.counts.reset();
            }

            fn update(&mut self, batch: &Batch<'_>) -> Result<()> {
                self.counts.update($keras, batch)
            }

            fn result(&self) -> f64 {
                self.counts.mean(Self::ratio)
            }

            fn results(&self) -> Vec<f64> {
                self.counts.each(Self::ratio)
            }

            fn direction(&self) -> Option<Direction> {
                Some(Direction::Up)
            }
        }

        impl regraft_layers::Configured for $name {
            $crate::metrics::keras_class!($class);

            fn config(&self) -> Map<String, Value> {
                settings([
                    ("thresholds", self.counts.given()),
                    ("top_k", json!(self.counts.top_k)),
                    ("class_id", json!(self.counts.class_id)),
                ])
            }
        }
    };
}

ratio_metric! {
    /// The share of positive predictions whose target is positive, `TP / (TP + FP)`; 0 if nothing
    /// was predicted positive.
    Precision, "precision", "Precision", |counts| share(counts.true_positives, counts.false_positives)
}

ratio_metric! {
    /// The share of positive targets that were predicted positive, `TP / (TP + FN)`; 0 if there were
    /// none.
    Recall, "recall", "Recall", |counts| share(counts.true_positives, counts.false_negatives)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Error, Targets};

    const PREDICTIONS: [f32; 6] = [0.7, 0.2, 0.1, 0.3, 0.3, 0.4];

    fn batch<'a>(targets: Targets<'a>) -> Batch<'a> {
        Batch {
            targets,
            predictions: &PREDICTIONS,
            shape: &[2, 3],
            sample_weights: None,
        }
    }

    #[test]
    fn class_numbers_do_as_well_as_one_hot_rows() {
        for metric in [
            Precision::new(),
            Precision::new().top_k(2),
            Precision::new().class_id(1),
        ] {
            let (mut sparse, mut one_hot) = (metric.clone(), metric);
            sparse.update(&batch(Targets::Classes(&[0, 1]))).unwrap();
            let rows = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
            one_hot.update(&batch(Targets::Values(&rows))).unwrap();
            assert_eq!(sparse.result(), one_hot.result());
        }
    }

    #[test]
    fn settings_beyond_the_last_axis_are_errors() {
        let targets = Targets::Classes(&[0, 1]);
        for mut metric in [
            Recall::new().class_id(3),
            Recall::new().top_k(4),
            Recall::new().top_k(0),
        ] {
            assert!(matches!(
                metric.update(&batch(targets)),
                Err(Error::Shape(_))
            ));
        }
    }
}
