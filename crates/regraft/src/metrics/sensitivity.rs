//! The best of one share where another is at least a given value: over evenly spaced thresholds, as
//! Keras finds it. After <https://keras.io/api/metrics/classification_metrics/>.

use regraft_tensor::Detail;
use serde_json::{Map, Value, json};

use super::counts::{Counts, share};
use super::settings::settings;
use super::{Auc, Batch, Direction, Error, Metric, Result, Targets};

/// Counts at the thresholds of all predictions, or of those of one class.
#[derive(Clone, Debug)]
struct AtThresholds {
    /// What the constraint asks for, from 0 to 1.
    least: f64,
    num_thresholds: usize,
    class_id: Option<usize>,
    counts: Auc,
    targets: Vec<f32>,
    predictions: Vec<f32>,
}

impl AtThresholds {
    fn new(metric: &str, least: f64) -> Result<Self> {
        if !(0.0..=1.0).contains(&least) {
            let detail = Detail::new(metric, "a number from 0 to 1", least);
            return Err(Error::Argument(detail));
        }
        let mut made = AtThresholds {
            least,
            num_thresholds: 200,
            class_id: None,
            counts: Auc::new(),
            targets: Vec::new(),
            predictions: Vec::new(),
        };
        made.set_thresholds(metric, 200)?;
        Ok(made)
    }

    fn set_thresholds(&mut self, metric: &str, count: usize) -> Result<()> {
        self.counts = match count {
            0 => {
                let detail = Detail::new(metric, "1 or more thresholds", count);
                return Err(Error::Argument(detail));
            }
            1 => Auc::at_one_half(),
            count => Auc::new().num_thresholds(count)?.starting_at_zero(),
        };
        self.num_thresholds = count;
        Ok(())
    }

    fn update(&mut self, metric: &str, batch: &Batch<'_>) -> Result<()> {
        let Some(class) = self.class_id else {
            return self.counts.update(batch);
        };
        batch.check_targets(metric)?;
        if class >= batch.width() {
            let expected = "a class_id below the size of the last axis";
            let received = format!("{class} with predictions of shape {:?}", batch.shape);
            return Err(Error::Shape(Detail::new(metric, expected, received)));
        }
        self.targets.clear();
        self.predictions.clear();
        for row in 0..batch.rows() {
            self.targets.push(batch.target(row, class));
            self.predictions.push(batch.row(row)[class]);
        }
        let shape = [batch.samples(), batch.rows_per_sample()];
        self.counts.update(&Batch {
            targets: Targets::Values(&self.targets),
            predictions: &self.predictions,
            shape: &shape,
            sample_weights: batch.sample_weights,
        })
    }

    /// The largest `wanted` where `constrained` is at least what is asked for; 0 if it never is.
    fn best(&self, constrained: fn(&Counts) -> f64, wanted: fn(&Counts) -> f64) -> f64 {
        // Keras compares in single precision.
        let least = self.least as f32;
        let counts = self.counts.at_thresholds();
        let feasible = counts.iter().filter(|at| constrained(at) as f32 >= least);
        feasible.map(wanted).fold(0.0, f64::max)
    }
}

fn recall(at: &Counts) -> f64 {
    share(at.true_positives, at.false_negatives)
}

fn precision(at: &Counts) -> f64 {
    share(at.true_positives, at.false_positives)
}

fn specificity(at: &Counts) -> f64 {
    share(at.true_negatives, at.false_positives)
}

macro_rules! at_least {
    (
        $(#[$documentation:meta])*
        $name:ident, $keras:literal, $class:literal, $setting:literal, $constrained:ident, $wanted:ident
    ) => {
        $(#[$documentation])*
        ///
        /// Thresholds are spaced evenly from 0 to 1, 200 of them unless told otherwise. Targets count as
        /// positive where they are not 0; class numbers count as one-hot rows.
        #[derive(Clone, Debug)]
        pub struct $name {
            at: AtThresholds,
        }

        impl $name {
            #[doc = concat!("Where the ", $setting, " is at least `least`, a number from 0 to 1.")]
            ///
            /// # Errors
            /// [`Error::Argument`] for another number.
            pub fn new(least: f64) -> Result<Self> {
                Ok($name {
                    at: AtThresholds::new($keras, least)?,
                })
            }

            /// Takes so many thresholds.
            ///
            /// # Errors
            /// [`Error::Argument`] if there are none.
            pub fn num_thresholds(mut self, count: usize) -> Result<Self> {
                self.at.set_thresholds($keras, count)?;
                Ok(self)
            }

            /// Counts only the predictions and targets of class `class`.
            #[must_use]
            pub fn class_id(mut self, class: usize) -> Self {
                self.at.class_id = Some(class);
                self
            }
        }

        impl regraft_layers::FromSettings for $name {
            fn from_settings(
                settings: &regraft_layers::settings::Settings<'_>,
            ) -> Result<Self, regraft_tensor::Detail> {
                let mut made = Self::new(settings.required::<f64>($setting)?)?;
                made.at.class_id = settings.get::<usize>("class_id")?;
                Ok(made.num_thresholds(settings.or("num_thresholds", 200)?)?)
            }
        }

        impl Metric for $name {
            fn name(&self) -> &str {
                $keras
            }

            fn reset(&mut self) {
                self.at.counts.reset();
            }

            fn update(&mut self, batch: &Batch<'_>) -> Result<()> {
                self.at.update($keras, batch)
            }

            fn result(&self) -> f64 {
                self.at.best($constrained, $wanted)
            }

            fn direction(&self) -> Option<Direction> {
                Some(Direction::Up)
            }
        }

        impl regraft_layers::Configured for $name {
            $crate::metrics::keras_class!($class);

            fn config(&self) -> Map<String, Value> {
                settings([
                    ("class_id", json!(self.at.class_id)),
                    ("num_thresholds", self.at.num_thresholds.into()),
                    ($setting, self.at.least.into()),
                ])
            }
        }
    };
}

at_least! {
    /// The best precision at a threshold whose recall is at least a given value; 0 if there is none.
    PrecisionAtRecall, "precision_at_recall", "PrecisionAtRecall", "recall", recall, precision
}
at_least! {
    /// The best recall at a threshold whose precision is at least a given value; 0 if there is none.
    RecallAtPrecision, "recall_at_precision", "RecallAtPrecision", "precision", precision, recall
}
at_least! {
    /// The best sensitivity (recall) at a threshold whose specificity, `TN / (TN + FP)`, is at least a
    /// given value; 0 if there is none.
    SensitivityAtSpecificity, "sensitivity_at_specificity", "SensitivityAtSpecificity",
    "specificity", specificity, recall
}
at_least! {
    /// The best specificity, `TN / (TN + FP)`, at a threshold whose sensitivity (recall) is at least a
    /// given value; 0 if there is none.
    SpecificityAtSensitivity, "specificity_at_sensitivity", "SpecificityAtSensitivity",
    "sensitivity", recall, specificity
}
