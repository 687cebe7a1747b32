//! The harmonic mean of precision and recall, per class or averaged. After
//! <https://keras.io/api/metrics/classification_metrics/#f1score-class>.

use regraft_layers::settings::Settings;
use regraft_tensor::Detail;
use serde_json::{Map, Value, json};

use super::regression::EPSILON;
use super::settings::{exact, one_of, settings};
use super::{Batch, Direction, Error, Metric, Result, keras_class};

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

/// `(1 + β²) · precision · recall / (β² · precision + recall)`: recall counts `β` times as much as
/// precision.
///
/// Predictions have shape `[samples, classes]`; targets are one-hot rows, several labels, or class
/// numbers. Without a threshold a row's largest prediction (all of them, if equal) is the positive
/// one; with a threshold every prediction above it is.
#[derive(Clone, Debug)]
pub struct FBetaScore {
    name: &'static str,
    average: Average,
    beta: f64,
    threshold: Option<f64>,
    classes: Vec<ClassCounts>,
}

/// `2 · precision · recall / (precision + recall)`: [`FBetaScore`] with `β = 1`.
#[derive(Clone, Debug)]
pub struct F1Score {
    inner: FBetaScore,
}

const AVERAGES: [(Average, &str); 3] = [
    (Average::Micro, "micro"),
    (Average::Macro, "macro"),
    (Average::Weighted, "weighted"),
];

fn average(settings: &Settings<'_>) -> Result<Average, Detail> {
    Ok(one_of(settings, "average", &AVERAGES)?.unwrap_or_default())
}

#[derive(Clone, Copy, Debug, Default)]
struct ClassCounts {
    true_positives: f64,
    false_positives: f64,
    false_negatives: f64,
    targets: f64,
}

impl FBetaScore {
    /// With `beta`, a positive number, and the mean over classes that `average` says.
    ///
    /// # Errors
    /// [`Error::Argument`] if `beta` is not positive and finite.
    pub fn new(average: Average, beta: f64) -> Result<Self> {
        if !(beta > 0.0 && beta.is_finite()) {
            return Err(Error::Argument(Detail::new(
                "fbeta_score",
                "a beta above 0",
                beta,
            )));
        }
        Ok(Self::unchecked("fbeta_score", average, beta))
    }

    fn unchecked(name: &'static str, average: Average, beta: f64) -> Self {
        FBetaScore {
            name,
            average,
            beta,
            threshold: None,
            classes: Vec::new(),
        }
    }

    /// Counts every prediction above `threshold` as positive, for several labels per sample.
    ///
    /// # Errors
    /// [`Error::Argument`] if `threshold` is not above 0 and at most 1.
    pub fn with_threshold(self, threshold: f32) -> Result<Self> {
        self.above(exact(threshold))
    }

    fn above(mut self, threshold: f64) -> Result<Self> {
        if !(threshold > 0.0 && threshold <= 1.0) {
            return Err(Error::Argument(Detail::new(
                self.name,
                "a threshold above 0 and at most 1",
                threshold,
            )));
        }
        self.threshold = Some(threshold);
        Ok(self)
    }

    fn with_settings(self, settings: &Settings<'_>) -> Result<Self, Detail> {
        match settings.get::<f64>("threshold")? {
            Some(threshold) => Ok(self.above(threshold)?),
            None => Ok(self),
        }
    }

    fn score(&self, counts: &ClassCounts) -> f64 {
        let epsilon = f64::from(EPSILON);
        let ClassCounts {
            true_positives,
            false_positives,
            false_negatives,
            ..
        } = *counts;
        let precision = true_positives / (true_positives + false_positives + epsilon);
        let recall = true_positives / (true_positives + false_negatives + epsilon);
        let square = self.beta * self.beta;
        (1.0 + square) * precision * recall / (square * precision + recall + epsilon)
    }
}

impl regraft_layers::FromSettings for FBetaScore {
    fn from_settings(
        settings: &regraft_layers::settings::Settings<'_>,
    ) -> Result<Self, regraft_tensor::Detail> {
        let beta = settings.get::<f64>("beta")?.unwrap_or(1.0);
        Self::new(average(settings)?, beta)?.with_settings(settings)
    }
}

impl F1Score {
    /// With the mean over classes that `average` says.
    pub fn new(average: Average) -> Self {
        F1Score {
            inner: FBetaScore::unchecked("f1_score", average, 1.0),
        }
    }

    /// As [`FBetaScore::with_threshold`].
    ///
    /// # Errors
    /// [`Error::Argument`] if `threshold` is not above 0 and at most 1.
    pub fn with_threshold(self, threshold: f32) -> Result<Self> {
        Ok(F1Score {
            inner: self.inner.with_threshold(threshold)?,
        })
    }
}

impl regraft_layers::FromSettings for F1Score {
    fn from_settings(
        settings: &regraft_layers::settings::Settings<'_>,
    ) -> Result<Self, regraft_tensor::Detail> {
        let inner = F1Score::new(average(settings)?).inner;
        Ok(F1Score {
            inner: inner.with_settings(settings)?,
        })
    }
}

impl Metric for FBetaScore {
    fn name(&self) -> &str {
        self.name
    }

    fn reset(&mut self) {
        self.classes.fill(ClassCounts::default());
    }

    fn update(&mut self, batch: &Batch<'_>) -> Result<()> {
        batch.check_targets(self.name)?;
        let width = batch.width();
        if self.classes.is_empty() {
            self.classes.resize(width, ClassCounts::default());
        }
        if batch.shape.len() != 2 || self.classes.len() != width {
            return Err(Error::Shape(Detail::new(
                self.name,
                format!("predictions of shape [samples, {}]", self.classes.len()),
                format!("{:?}", batch.shape),
            )));
        }
        for sample in 0..batch.samples() {
            let predicted = batch.row(sample);
            let weight = batch.weight(sample);
            let largest = predicted.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            for (class, counts) in self.classes.iter_mut().enumerate() {
                let prediction = predicted[class];
                let positive = match self.threshold {
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

    fn result(&self) -> f64 {
        if self.classes.is_empty() {
            return 0.0;
        }
        let scores = self
            .classes
            .iter()
            .map(|counts| (self.score(counts), counts.targets));
        match self.average {
            Average::None | Average::Macro => {
                scores.map(|(score, _)| score).sum::<f64>() / self.classes.len() as f64
            }
            Average::Weighted => {
                let total: f64 = self.classes.iter().map(|counts| counts.targets).sum();
                let total = total + f64::from(EPSILON);
                scores.map(|(score, targets)| score * targets / total).sum()
            }
            Average::Micro => {
                let mut all = ClassCounts::default();
                for counts in &self.classes {
                    all.true_positives += counts.true_positives;
                    all.false_positives += counts.false_positives;
                    all.false_negatives += counts.false_negatives;
                }
                self.score(&all)
            }
        }
    }

    fn results(&self) -> Vec<f64> {
        match self.average {
            Average::None => self
                .classes
                .iter()
                .map(|counts| self.score(counts))
                .collect(),
            _ => vec![self.result()],
        }
    }

    fn direction(&self) -> Option<Direction> {
        Some(Direction::Up)
    }
}

impl regraft_layers::Configured for FBetaScore {
    keras_class!("FBetaScore");

    fn config(&self) -> Map<String, Value> {
        let name = AVERAGES
            .iter()
            .find(|(average, _)| *average == self.average);
        settings([
            ("average", json!(name.map(|(_, name)| name))),
            ("beta", self.beta.into()),
            ("threshold", json!(self.threshold)),
        ])
    }
}

impl Metric for F1Score {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn reset(&mut self) {
        self.inner.reset();
    }

    fn update(&mut self, batch: &Batch<'_>) -> Result<()> {
        self.inner.update(batch)
    }

    fn result(&self) -> f64 {
        self.inner.result()
    }

    fn results(&self) -> Vec<f64> {
        self.inner.results()
    }

    fn direction(&self) -> Option<Direction> {
        self.inner.direction()
    }
}

impl regraft_layers::Configured for F1Score {
    keras_class!("F1Score");

    fn config(&self) -> Map<String, Value> {
        let mut config = self.inner.config();
        config.remove("beta");
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Targets;

    #[test]
    fn settings_without_meaning_are_errors() {
        for beta in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(FBetaScore::new(Average::Macro, beta).is_err());
        }
        for threshold in [0.0, 1.5, f32::NAN] {
            assert!(
                F1Score::new(Average::Macro)
                    .with_threshold(threshold)
                    .is_err()
            );
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
