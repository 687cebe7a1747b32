//! The harmonic mean of precision and recall, per class or averaged. After
//! <https://keras.io/api/metrics/classification_metrics/#f1score-class>.

use regraft_layers::settings;
use regraft_layers::settings::{require, require_positive};
use regraft_tensor::Detail;

use super::regression::EPSILON;
use super::{Batch, Direction, Error, Metric, Result};

/// How the scores of the classes become one number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Average {
    /// They do not: `results` has one per class. `result` is their mean, as for `Macro`.
    #[default]
    None,
    /// One score of the counts of all classes together.
    Micro,
    /// The mean of the classes' scores.
    Macro,
    /// The mean weighted by how often each class is the target.
    Weighted,
}

/// True and false positives of one class.
#[derive(Clone, Copy, Debug, Default)]
struct ClassCounts {
    true_positives: f64,
    false_positives: f64,
    false_negatives: f64,
    targets: f64,
}

fn threshold(at: &str, threshold: Option<f64>) -> Result<(), Detail> {
    let fits = threshold.is_none_or(|one| one > 0.0 && one <= 1.0);
    require(fits, at, "a threshold above 0 and at most 1", threshold)
}

macro_rules! f_score {
    ($name:ident, $keras:literal, |$metric:ident| $beta:expr) => {
        impl Metric for $name {
            fn name(&self) -> &str {
                $keras
            }

            fn reset(&mut self) {
                self.classes.0.fill(ClassCounts::default());
            }

            fn update(&mut self, batch: &Batch<'_>) -> Result<()> {
                self.classes.update($keras, batch, self.threshold)
            }

            fn result(&self) -> f64 {
                let $metric = self;
                self.classes.score(self.average, $beta)
            }

            fn results(&self) -> Vec<f64> {
                let $metric = self;
                let each = || self.classes.0.iter().map(|class| class.score($beta));
                match self.average {
                    Average::None => each().collect(),
                    _ => vec![self.result()],
                }
            }

            fn direction(&self) -> Option<Direction> {
                Some(Direction::Up)
            }
        }
    };
}

settings! {
    /// `(1 + β²) · precision · recall / (β² · precision + recall)`: recall counts `β` times as much as
    /// precision.
    ///
    /// Predictions have shape `[samples, classes]`; targets are one-hot rows, several labels, or class
    /// numbers. Without a threshold a row's largest prediction (all of them, if equal) is the positive
    /// one; with a threshold every prediction above it is.
    #[derive(Clone, Debug)]
    pub struct FBetaScore as "keras.metrics.FBetaScore" {
        /// With the mean over classes that `average` says, and `beta`, a positive number.
        new(average: Average = Average::None, beta: f64 = 1.0)
        average: Average = average,
        beta: f64 = beta => require_positive,
        /// Counts every prediction above this as positive, for several labels per sample. Above 0 and at
        /// most 1.
        threshold: Option<f64> = None => threshold,
    }
    state { classes: Classes = Classes::default() }
}
f_score!(FBetaScore, "fbeta_score", |metric| metric.beta);

settings! {
    /// `2 · precision · recall / (precision + recall)`: [`FBetaScore`] with `β = 1`.
    #[derive(Clone, Debug)]
    pub struct F1Score as "keras.metrics.F1Score" {
        /// With the mean over classes that `average` says.
        new(average: Average = Average::None)
        average: Average = average,
        /// As [`FBetaScore::threshold`].
        threshold: Option<f64> = None => threshold,
    }
    state { classes: Classes = Classes::default() }
}
f_score!(F1Score, "f1_score", |_metric| 1.0);

/// The counts of every class; of none before the first batch.
#[derive(Clone, Debug, Default)]
struct Classes(Vec<ClassCounts>);

impl ClassCounts {
    fn score(&self, beta: f64) -> f64 {
        let epsilon = f64::from(EPSILON);
        let precision =
            self.true_positives / (self.true_positives + self.false_positives + epsilon);
        let recall = self.true_positives / (self.true_positives + self.false_negatives + epsilon);
        let square = beta * beta;
        (1.0 + square) * precision * recall / (square * precision + recall + epsilon)
    }
}

impl Classes {
    fn update(&mut self, name: &str, batch: &Batch<'_>, threshold: Option<f64>) -> Result<()> {
        batch.check_targets(name)?;
        let width = batch.width();
        if self.0.is_empty() {
            self.0.resize(width, ClassCounts::default());
        }
        if batch.shape.len() != 2 || self.0.len() != width {
            return Err(Error::Shape(Detail::new(
                name,
                format!("predictions of shape [samples, {}]", self.0.len()),
                format!("{:?}", batch.shape),
            )));
        }
        for sample in 0..batch.samples() {
            let predicted = batch.row(sample);
            let weight = batch.weight(sample);
            let largest = predicted.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            for (class, counts) in self.0.iter_mut().enumerate() {
                let prediction = predicted[class];
                let positive = match threshold {
                    Some(threshold) => prediction > threshold as f32,
                    None => prediction >= largest && prediction.abs() > 1e-9,
                };
                let target = f64::from(batch.target(sample, class)) * weight;
                counts.targets += target;
                if positive {
                    counts.true_positives += target;
                    counts.false_positives += weight - target;
                } else {
                    counts.false_negatives += target;
                }
            }
        }
        Ok(())
    }

    fn score(&self, average: Average, beta: f64) -> f64 {
        let Classes(classes) = self;
        if classes.is_empty() {
            return 0.0;
        }
        let scores = classes
            .iter()
            .map(|class| (class.score(beta), class.targets));
        match average {
            Average::None | Average::Macro => {
                scores.map(|(score, _)| score).sum::<f64>() / classes.len() as f64
            }
            Average::Weighted => {
                let total: f64 = classes.iter().map(|counts| counts.targets).sum();
                let total = total + f64::from(EPSILON);
                scores.map(|(score, targets)| score * targets / total).sum()
            }
            Average::Micro => {
                let mut all = ClassCounts::default();
                for counts in classes {
                    all.true_positives += counts.true_positives;
                    all.false_positives += counts.false_positives;
                    all.false_negatives += counts.false_negatives;
                }
                all.score(beta)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{IntoMetric, Targets};

    #[test]
    fn settings_without_meaning_are_errors() {
        for beta in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(FBetaScore::new(Average::Macro, beta).into_metric().is_err());
        }
        for threshold in [0.0, 1.5, f64::NAN] {
            let metric = F1Score::new(Average::Macro).threshold(threshold);
            assert!(metric.into_metric().is_err());
        }
    }

    #[test]
    fn another_number_of_classes_is_an_error() {
        let mut metric = F1Score::new(Average::Macro);
        let values = [0.5; 6];
        let batch = |shape| Batch {
            targets: Targets::Values(&values),
            predictions: &values,
            shape,
            sample_weights: None,
        };
        assert!(metric.update(&batch(&[6])).is_err());
        let mut metric = F1Score::new(Average::Macro);
        metric.update(&batch(&[2, 3])).unwrap();
        assert!(metric.update(&batch(&[3, 2])).is_err());
        assert_eq!(metric.results().len(), 1);
    }
}
