//! True and false positives and negatives at one or more thresholds, as counts and as what
//! precision and recall are made of. After
//! <https://keras.io/api/metrics/classification_metrics/>.

use regraft_layers::settings::{Given, Setting, require};
use regraft_layers::{IntoSetting, settings};
use regraft_tensor::Detail;
use serde_json::Value;

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

/// Thresholds between 0 and 1: one, several, or none, which means 0.5.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Thresholds {
    values: Option<Vec<f64>>,
    /// Whether it is one that does not stand in a list.
    is_one: bool,
}

impl Thresholds {
    fn several(values: impl Into<Vec<f64>>) -> Self {
        Thresholds {
            values: Some(values.into()),
            is_one: false,
        }
    }
}

impl Setting for Thresholds {
    fn read(given: Given<'_>) -> Result<Self, Detail> {
        match given.value.as_f64() {
            Some(one) => Ok(one.into_setting()),
            None => Ok(Thresholds::several(Vec::<f64>::read(given)?)),
        }
    }

    fn write(&self) -> Value {
        match self.values.as_deref() {
            Some([one]) if self.is_one => (*one).into(),
            values => values.into(),
        }
    }
}

impl IntoSetting<Thresholds> for f64 {
    fn into_setting(self) -> Thresholds {
        Thresholds {
            values: Some(vec![self]),
            is_one: true,
        }
    }
}

impl<const N: usize> IntoSetting<Thresholds> for [f64; N] {
    fn into_setting(self) -> Thresholds {
        Thresholds::several(self)
    }
}

impl IntoSetting<Thresholds> for &[f64] {
    fn into_setting(self) -> Thresholds {
        Thresholds::several(self)
    }
}

/// Refuses no thresholds in a list, and one outside 0 to 1.
pub(super) fn check_thresholds(at: &str, thresholds: Thresholds) -> Result<(), Detail> {
    let Some(values) = thresholds.values else {
        return Ok(());
    };
    let inside = values.iter().all(|one| (0.0..=1.0).contains(one));
    let expected = "one or more thresholds between 0 and 1";
    require(!values.is_empty() && inside, at, expected, values)
}

/// Which predictions are positive, and which of them are counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Positives<'a> {
    pub thresholds: &'a Thresholds,
    /// Only so many, the largest of a row, can be positive; all of them without thresholds.
    pub top_k: Option<usize>,
    pub class_id: Option<usize>,
}

/// Counts at every threshold, over all predictions, one class, or the top k of each row.
#[derive(Clone, Debug, Default)]
pub(super) struct ThresholdCounts {
    /// One for each threshold; none before the first batch.
    counts: Vec<Counts>,
    thresholds: Vec<f32>,
    /// The columns of a row, the first `top_k` of them holding the largest predictions.
    columns: Vec<u32>,
    /// Whether each column of a row is among them.
    kept: Vec<bool>,
}

impl ThresholdCounts {
    pub fn reset(&mut self) {
        self.counts.fill(Counts::default());
    }

    pub fn update(
        &mut self,
        metric: &str,
        batch: &Batch<'_>,
        positives: Positives<'_>,
    ) -> Result<()> {
        batch.check_targets(metric)?;
        let Positives {
            thresholds,
            top_k,
            class_id,
        } = positives;
        let width = batch.width();
        let wrong = |expected: &str, received: usize| {
            let received = format!("{received} with predictions of shape {:?}", batch.shape);
            Err(Error::Shape(Detail::new(metric, expected, received)))
        };
        if let Some(class) = class_id
            && class >= width
        {
            return wrong("a class_id below the size of the last axis", class);
        }
        if let Some(k) = top_k
            && (k == 0 || k > width)
        {
            return wrong(
                "top_k of at least 1 and at most the size of the last axis",
                k,
            );
        }
        let per_sample = batch.rows_per_sample();
        self.thresholds.clear();
        match &thresholds.values {
            Some(values) => self.thresholds.extend(values.iter().map(|&one| one as f32)),
            None => self
                .thresholds
                .push(top_k.map_or(0.5, |_| f32::NEG_INFINITY)),
        }
        self.counts.resize(self.thresholds.len(), Counts::default());
        let columns = class_id.map_or(0..width, |class| class..class + 1);
        for row in 0..batch.rows() {
            let predicted = batch.row(row);
            let weight = batch.weight(row / per_sample);
            if let Some(k) = top_k {
                self.keep_top_k(predicted, k);
            }
            for column in columns.clone() {
                let prediction = predicted[column];
                let kept = top_k.is_none() || self.kept[column];
                let label = batch.target(row, column) != 0.0;
                for (counts, &threshold) in self.counts.iter_mut().zip(&self.thresholds) {
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

    /// Marks the `k` largest of `row` in `kept`, of equals the first.
    fn keep_top_k(&mut self, row: &[f32], k: usize) {
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
    pub fn each(&self, thresholds: &Thresholds, number: impl Fn(&Counts) -> f64) -> Vec<f64> {
        match self.counts.is_empty() {
            true => {
                vec![number(&Counts::default()); thresholds.values.as_ref().map_or(1, Vec::len)]
            }
            false => self.counts.iter().map(number).collect(),
        }
    }
}

/// The mean over the thresholds, of which there is one by default.
pub(super) fn mean(numbers: Vec<f64>) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len() as f64
}

macro_rules! count_metric {
    ($(#[$attribute:meta])* $name:ident, $keras:literal, $class:literal, $field:ident) => {
        settings! {
            $(#[$attribute])*
            #[derive(Clone, Debug)]
            pub struct $name as $class {
                /// With a threshold of 0.5.
                new()
                /// With one threshold or several, between 0 and 1: `results` has one count for each,
                /// `result` their mean.
                thresholds: Thresholds = Thresholds::default() => check_thresholds,
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
                    top_k: None,
                    class_id: None,
                };
                self.counts.update($keras, batch, positives)
            }

            fn result(&self) -> f64 {
                mean(self.results())
            }

            fn results(&self) -> Vec<f64> {
                self.counts.each(&self.thresholds, |counts| counts.$field)
            }
        }
    };
}

count_metric! {
    /// The (weighted) number of predictions above the threshold whose target is not 0.
    TruePositives, "true_positives", "keras.metrics.TruePositives", true_positives
}
count_metric! {
    /// The (weighted) number of predictions above the threshold whose target is 0.
    FalsePositives, "false_positives", "keras.metrics.FalsePositives", false_positives
}
count_metric! {
    /// The (weighted) number of predictions at or below the threshold whose target is 0.
    TrueNegatives, "true_negatives", "keras.metrics.TrueNegatives", true_negatives
}
count_metric! {
    /// The (weighted) number of predictions at or below the threshold whose target is not 0.
    FalseNegatives, "false_negatives", "keras.metrics.FalseNegatives", false_negatives
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{IntoMetric, Targets};

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
        for thresholds in [&[][..], &[-0.1], &[0.5, 1.5], &[f64::NAN]] {
            assert!(
                FalsePositives::new()
                    .thresholds(thresholds)
                    .into_metric()
                    .is_err()
            );
        }
        let mut metric = FalsePositives::new().thresholds([0.0, 0.5, 1.0]);
        metric.update(&batch(&[0.5, 0.6, 0.5, 0.6])).unwrap();
        assert_eq!(metric.results(), [2.0, 1.0, 0.0]);
        assert_eq!(metric.result(), 1.0);
    }
}
