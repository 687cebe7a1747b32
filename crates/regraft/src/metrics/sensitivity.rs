//! The best of one share where another is at least a given value: over evenly spaced thresholds, as
//! Keras finds it. After <https://keras.io/api/metrics/classification_metrics/>.

use regraft_layers::settings;
use regraft_layers::settings::{require, require_share};
use regraft_tensor::Detail;

use super::auc::{Buckets, MOST_THRESHOLDS};
use super::counts::{Counts, share};
use super::settings::check;
use super::{Batch, Direction, Error, Metric, Result};

fn recall(at: &Counts) -> f64 {
    share(at.true_positives, at.false_negatives)
}

fn precision(at: &Counts) -> f64 {
    share(at.true_positives, at.false_positives)
}

fn specificity(at: &Counts) -> f64 {
    share(at.true_negatives, at.false_positives)
}

/// Counts the predictions of all classes or of one.
fn add(buckets: &mut Buckets, metric: &str, batch: &Batch<'_>, class: Option<usize>) -> Result<()> {
    batch.check_targets(metric)?;
    if let Some(class) = class
        && class >= batch.width()
    {
        let expected = "a class_id below the size of the last axis";
        let received = format!("{class} with predictions of shape {:?}", batch.shape);
        return Err(Error::Shape(Detail::new(metric, expected, received)));
    }
    let columns = class.map_or(0..batch.width(), |class| class..class + 1);
    let per_sample = batch.rows_per_sample();
    for row in 0..batch.rows() {
        let weight = batch.weight(row / per_sample);
        for column in columns.clone() {
            let prediction = batch.row(row)[column];
            buckets.add(0, prediction, batch.target(row, column), weight);
        }
    }
    Ok(())
}

/// The largest `wanted` where `constrained` is at least what is asked for; 0 if it never is.
fn best(
    buckets: &Option<Buckets>,
    constrained: fn(&Counts) -> f64,
    least: f64,
    wanted: fn(&Counts) -> f64,
) -> f64 {
    // Keras compares in single precision. With no counts at all, every share is 0.
    let counts = buckets.iter().flat_map(Buckets::counts).flatten();
    let feasible = counts.filter(|at| constrained(at) as f32 >= least as f32);
    feasible.map(|at| wanted(&at)).fold(0.0, f64::max)
}

macro_rules! at_least {
    (
        $(#[$documentation:meta])*
        $name:ident as $class:literal, $keras:literal, $constraint:ident, $constrained:ident, $wanted:ident
    ) => {
        settings! {
            $(#[$documentation])*
            ///
            /// Thresholds are spaced evenly from 0 to 1, 200 of them unless told otherwise. Targets count as
            /// positive where they are not 0; class numbers count as one-hot rows.
            #[derive(Clone, Debug)]
            pub struct $name as $class {
                #[doc = concat!("Where the ", stringify!($constraint), " is at least this, a number from 0 to 1.")]
                new($constraint: f64)
                /// Counts only the predictions and targets of this class.
                class_id: Option<usize> = None,
                /// So many thresholds, at least 1. Default 200.
                num_thresholds: usize = 200 => |at: &str, count: usize| {
                    require((1..=MOST_THRESHOLDS).contains(&count), at, "1 to a million thresholds", count)
                },
                $constraint: f64 = $constraint => require_share,
            }
            state { buckets: Option<Buckets> = None }
        }

        impl Metric for $name {
            fn name(&self) -> &str {
                $keras
            }

            fn reset(&mut self) {
                self.buckets = None;
            }

            fn update(&mut self, batch: &Batch<'_>) -> Result<()> {
                if self.buckets.is_none() {
                    check(self)?;
                }
                let buckets = self.buckets.get_or_insert_with(|| match self.num_thresholds {
                    1 => Buckets::at_one_half(),
                    count => Buckets::even(count, 1).starting_at_zero(),
                });
                add(buckets, $keras, batch, self.class_id)
            }

            fn result(&self) -> f64 {
                best(&self.buckets, $constrained, self.$constraint, $wanted)
            }

            fn direction(&self) -> Option<Direction> {
                Some(Direction::Up)
            }
        }
    };
}

at_least! {
    /// The best precision at a threshold whose recall is at least a given value; 0 if there is none.
    PrecisionAtRecall as "keras.metrics.PrecisionAtRecall", "precision_at_recall", recall, recall, precision
}
at_least! {
    /// The best recall at a threshold whose precision is at least a given value; 0 if there is none.
    RecallAtPrecision as "keras.metrics.RecallAtPrecision", "recall_at_precision", precision, precision, recall
}
at_least! {
    /// The best sensitivity (recall) at a threshold whose specificity, `TN / (TN + FP)`, is at least a
    /// given value; 0 if there is none.
    SensitivityAtSpecificity as "keras.metrics.SensitivityAtSpecificity", "sensitivity_at_specificity", specificity, specificity, recall
}
at_least! {
    /// The best specificity, `TN / (TN + FP)`, at a threshold whose sensitivity (recall) is at least a
    /// given value; 0 if there is none.
    SpecificityAtSensitivity as "keras.metrics.SpecificityAtSensitivity", "specificity_at_sensitivity", sensitivity, recall, specificity
}
