//! How many of the positives found are real, and how many of the real ones are found.

use regraft_layers::settings;

use super::counts::{Positives, ThresholdCounts, Thresholds, check_thresholds, mean, share};
use super::{Batch, Direction, Metric, Result};

macro_rules! ratio_metric {
    ($(#[$attribute:meta])* $name:ident, $keras:literal, $class:literal, |$counts:ident| $ratio:expr) => {
        settings! {
            $(#[$attribute])*
            ///
            /// Targets count as positive where they are not 0; class numbers count as one-hot rows. All
            /// predictions of a batch are counted together unless [`class_id`](Self::class_id) chooses a
            /// column.
            #[derive(Clone, Debug)]
            pub struct $name as $class {
                /// Over all classes, with a threshold of 0.5.
                new()
                /// With one threshold or several, between 0 and 1: `results` has one number for each,
                /// `result` their mean.
                thresholds: Thresholds = Thresholds::default() => check_thresholds,
                /// Only so many predictions of a row, the largest, can be positive. Without thresholds,
                /// all of them are.
                top_k: Option<usize> = None,
                /// Counts only the predictions and targets of this class.
                class_id: Option<usize> = None,
            }
            state { counts: ThresholdCounts = ThresholdCounts::default() }
        }

        impl Metric for $name {
            fn name(&self) -> &str {
                $keras
            }

            fn reset(&mut self) {
                self.counts.reset();
            }

            fn update(&mut self, batch: &Batch<'_>) -> Result<()> {
                let positives = Positives {
                    thresholds: &self.thresholds,
                    top_k: self.top_k,
                    class_id: self.class_id,
                };
                self.counts.update($keras, batch, positives)
            }

            fn result(&self) -> f64 {
                mean(self.results())
            }

            fn results(&self) -> Vec<f64> {
                self.counts.each(&self.thresholds, |$counts| $ratio)
            }

            fn direction(&self) -> Option<Direction> {
                Some(Direction::Up)
            }
        }
    };
}

ratio_metric! {
    /// The share of positive predictions whose target is positive, `TP / (TP + FP)`; 0 if nothing
    /// was predicted positive.
    Precision, "precision", "keras.metrics.Precision",
    |counts| share(counts.true_positives, counts.false_positives)
}

ratio_metric! {
    /// The share of positive targets that were predicted positive, `TP / (TP + FN)`; 0 if there were
    /// none.
    Recall, "recall", "keras.metrics.Recall",
    |counts| share(counts.true_positives, counts.false_negatives)
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
