//! True and false positives and negatives at one or more thresholds, as counts and as what
//! precision and recall are made of. After
//! <https://keras.io/api/metrics/classification_metrics/>.

use regraft_layers::settings::Settings;
use regraft_tensor::Detail;
use serde_json::{Map, Value};

use super::settings::{exact, settings};
use super::{Batch, Error, Metric, Result};

/// The four counts, weighted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Counts {
    pub true_positives: f64,
    pub false_positives: f64,
    pub true_negatives: f64,
    pub false_negatives: f64,
}

/// `numerator / (numerator + other)`, and 0 instead of 0/0.
pub(super) fn share(numerator: f64, other: f64) -> f64 {
    let sum = numerator + other;
    if sum == 0.0 { 0.0 } else { numerator / sum }
}

/// Counts at every threshold, over all predictions, one class, or the top k of each row.
#[derive(Clone, Debug)]
pub(super) struct ThresholdCounts {
    /// `None` is Keras' default: 0.5, or with `top_k` no threshold.
    thresholds: Option<Vec<f32>>,
    /// The thresholds as they were given: null, one, or a list.
    given: Value,
    pub counts: Vec<Counts>,
    pub top_k: Option<usize>,
    pub class_id: Option<usize>,
    /// The columns of a row, the first `top_k` of them holding the largest predictions.
    columns: Vec<u32>,
    /// Whether each column of a row is among them.
    kept: Vec<bool>,
}

impl Default for ThresholdCounts {
    fn default() -> Self {
        ThresholdCounts {
            thresholds: None,
            given: Value::Null,
            counts: vec![Counts::default()],
            top_k: None,
            class_id: None,
            columns: Vec::new(),
            kept: Vec::new(),
        }
    }
}

impl ThresholdCounts {
    pub fn with_thresholds(metric: &str, thresholds: &[f32]) -> Result<Self> {
        let outside = thresholds
            .iter()
            .find(|threshold| !(0.0..=1.0).contains(*threshold));
        if thresholds.is_empty() || outside.is_some() {
            return Err(Error::Argument(Detail::new(
                metric,
                "one or more thresholds between 0 and 1",
                format!("{thresholds:?}"),
            )));
        }
        Ok(ThresholdCounts {
            thresholds: Some(thresholds.to_vec()),
            given: thresholds
                .iter()
                .map(|&threshold| exact(threshold))
                .collect(),
            counts: vec![Counts::default(); thresholds.len()],
            ..Self::default()
        })
    }

    /// From `thresholds` as Keras keeps them, and with `of_rows` from `top_k` and `class_id`.
    pub fn from_settings(settings: &Settings<'_>, of_rows: bool) -> Result<Self, Detail> {
        let single = |value: &Value| value.as_f64().map(|one| vec![one]);
        let given = match settings.value("thresholds") {
            Some(value) if single(value).is_some() => single(value),
            _ => settings.get::<Vec<f64>>("thresholds")?,
        };
        let mut counts = match given {
            None => Self::default(),
            Some(thresholds) => {
                let thresholds: Vec<f32> = thresholds.iter().map(|&one| one as f32).collect();
                Self::with_thresholds(settings.owner(), &thresholds)?
            }
        };
        counts.given = settings.value("thresholds").cloned().unwrap_or_default();
        if of_rows {
            counts.top_k = settings.get::<usize>("top_k")?;
            counts.class_id = settings.get::<usize>("class_id")?;
        }
        Ok(counts)
    }

    /// The thresholds as they were given.
    pub fn given(&self) -> Value {
        self.given.clone()
    }

    pub fn reset(&mut self) {
        self.counts.fill(Counts::default());
    }

    pub fn update(&mut self, metric: &str, batch: &Batch<'_>) -> Result<()> {
        batch.check_targets(metric)?;
        let width = batch.width();
        let wrong = |expected: &str, received: usize| {
            let received = format!("{received} with predictions of shape {:?}", batch.shape);
            Err(Error::Shape(Detail::new(metric, expected, received)))
        };
        if let Some(class) = self.class_id
            && class >= width
        {
            return wrong("a class_id below the size of the last axis", class);
        }
        if let Some(k) = self.top_k
            && (k == 0 || k > width)
        {
            return wrong(
                "top_k of at least 1 and at most the size of the last axis",
                k,
            );
        }
        let per_sample = batch.rows_per_sample();
        let fallback = [if self.top_k.is_some() {
            f32::NEG_INFINITY
        } else {
            0.5
        }];
        let columns = self.class_id.map_or(0..width, |class| class..class + 1);
        for row in 0..batch.rows() {
            let predicted = batch.row(row);
            let weight = batch.weight(row / per_sample);
            self.keep_top_k(predicted);
            let thresholds = self.thresholds.as_deref().unwrap_or(&fallback);
            for column in columns.clone() {
                let prediction = predicted[column];
                let kept = self.top_k.is_none() || self.kept[column];
                let label = batch.target(row, column) != 0.0;
                for (counts, &threshold) in self.counts.iter_mut().zip(thresholds) {
                    *match (label, kept && prediction > threshold) {
                        (true, true) => &mut counts.true_positives,
                        (false, true) => &mut counts.false_positives,
                        (false, false) => &mut counts.true_negatives,
                        (true, false) => &mut counts.false_negatives,
                    } += weight;
                }
            }
        }
        Ok(())
    }

    /// Marks the `top_k` largest of `row` in `kept`, of equals the first.
    fn keep_top_k(&mut self, row: &[f32]) {
        let Some(k) = self.top_k else { return };
        self.columns.clear();
        self.columns.extend(0..row.len() as u32);
        self.kept.clear();
        self.kept.resize(row.len(), false);
        self.columns.select_nth_unstable_by(k - 1, |&a, &b| {
            row[b as usize].total_cmp(&row[a as usize]).then(a.cmp(&b))
        });
        for &column in &self.columns[..k] {
            self.kept[column as usize] = true;
        }
    }

    /// One number per threshold.
    pub fn each(&self, number: impl Fn(&Counts) -> f64) -> Vec<f64> {
        self.counts.iter().map(number).collect()
    }

    /// The mean over the thresholds, of which there is one by default.
    pub fn mean(&self, number: impl Fn(&Counts) -> f64) -> f64 {
        self.counts.iter().map(number).sum::<f64>() / self.counts.len() as f64
    }
}

macro_rules! count_metric {
    ($(#[$attribute:meta])* $name:ident, $keras:literal, $class:literal, $field:ident) => {
        $(#[$attribute])*
        #[derive(Clone, Debug, Default)]
        pub struct $name {
            counts: ThresholdCounts,
        }

        impl $name {
            /// With a threshold of 0.5.
            pub fn new() -> Self {
                Self::default()
            }

            /// With thresholds between 0 and 1: `results` has one count for each, `result` their
            /// mean.
            ///
            /// # Errors
            /// [`Error::Argument`] without thresholds or with one outside 0 to 1.
            pub fn with_thresholds(thresholds: &[f32]) -> Result<Self> {
                let counts = ThresholdCounts::with_thresholds($keras, thresholds)?;
                Ok($name { counts })
            }
        }

        impl regraft_layers::FromSettings for $name {
            fn from_settings(
                settings: &regraft_layers::settings::Settings<'_>,
            ) -> Result<Self, regraft_tensor::Detail> {
                let counts = ThresholdCounts::from_settings(settings, false)?;
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
                self.counts.mean(|counts| counts.$field)
            }

            fn results(&self) -> Vec<f64> {
                self.counts.each(|counts| counts.$field)
            }
        }

        impl regraft_layers::Configured for $name {
            $crate::metrics::keras_class!($class);

            fn config(&self) -> Map<String, Value> {
                settings([("thresholds", self.counts.given())])
            }
        }
    };
}

count_metric! {
    /// The (weighted) number of predictions above the threshold whose target is not 0.
    TruePositives, "true_positives", "TruePositives", true_positives
}
count_metric! {
    /// The (weighted) number of predictions above the threshold whose target is 0.
    FalsePositives, "false_positives", "FalsePositives", false_positives
}
count_metric! {
    /// The (weighted) number of predictions at or below the threshold whose target is 0.
    TrueNegatives, "true_negatives", "TrueNegatives", true_negatives
}
count_metric! {
    /// The (weighted) number of predictions at or below the threshold whose target is not 0.
    FalseNegatives, "false_negatives", "FalseNegatives", false_negatives
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Targets;

    fn batch(predictions: &[f32]) -> Batch<'_> {
        let targets = Targets::Values(&[1.0, 1.0, 0.0, 0.0]);
        Batch {
            targets,
            predictions,
            shape: &[4, 1],
            sample_weights: None,
        }
    }

    #[test]
    fn a_prediction_at_the_threshold_is_negative() {
        let mut metric = TruePositives::new();
        metric.update(&batch(&[0.5, 0.6, 0.5, 0.6])).unwrap();
        assert_eq!(metric.result(), 1.0);
    }

    #[test]
    fn thresholds_outside_zero_to_one_are_errors() {
        for thresholds in [&[][..], &[-0.1], &[0.5, 1.5], &[f32::NAN]] {
            assert!(FalsePositives::with_thresholds(thresholds).is_err());
        }
        let mut metric = FalsePositives::with_thresholds(&[0.0, 0.5, 1.0]).unwrap();
        metric.update(&batch(&[0.5, 0.6, 0.5, 0.6])).unwrap();
        assert_eq!(metric.results(), [2.0, 1.0, 0.0]);
        assert_eq!(metric.result(), 1.0);
    }
}
