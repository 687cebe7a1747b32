//! The share of the targets' variance that predictions explain. After
//! <https://keras.io/api/metrics/regression_metrics/#r2score-class>.

use regraft_layers::settings;
use regraft_tensor::Detail;

use super::{Batch, Direction, Error, Metric, Result};

/// How the scores of several outputs become one number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Aggregation {
    /// They do not: `results` has one per output. `result` is their mean.
    None,
    /// The mean.
    #[default]
    UniformAverage,
    /// The mean weighted by the variance of each output's targets.
    VarianceWeightedAverage,
}

settings! {
    /// `R² = 1 − Σ (t − p)² / Σ (t − mean t)²` per output: 1 for perfect predictions, 0 for those no
    /// better than the mean, negative for worse. An output whose targets are all equal counts as 0, and
    /// as not a number if its predictions are perfect, as in Keras.
    ///
    /// Sums are kept about the first target seen, so that targets far from zero lose no digits.
    #[derive(Clone, Debug)]
    pub struct R2Score as "keras.metrics.R2Score" {
        /// The mean over outputs, not adjusted for the number of regressors.
        new()
        /// How several outputs become one number. Default: their mean.
        aggregation as "class_aggregation": Aggregation = Aggregation::UniformAverage,
        /// Adjusts the score for `p` independent regressors:
        /// `1 − (1 − R²)(n − 1) / (n − p − 1)`, `n` being the number of targets seen. With too few
        /// targets for that the score stays as it is. Default 0.
        num_regressors: usize = 0,
    }
    state {
        // Targets seen, over all outputs, as Keras counts them.
        count: usize = 0,
        outputs: Vec<Output> = Vec::new(),
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Output {
    origin: Option<f64>,
    weight: f64,
    sum: f64,
    square: f64,
    residual: f64,
}

impl R2Score {
    fn adjusted(&self, score: f64) -> f64 {
        let (n, p) = (self.count as f64, self.num_regressors as f64);
        if self.num_regressors == 0 || p >= n - 1.0 {
            return score;
        }
        1.0 - (1.0 - score) * (n - 1.0) / (n - p - 1.0)
    }
}

impl Output {
    /// The variance of the targets, times their weight.
    fn total(&self) -> f64 {
        self.square - self.sum * self.sum / self.weight
    }

    fn score(&self) -> f64 {
        let score = 1.0 - self.residual / self.total();
        if score.is_infinite() { 0.0 } else { score }
    }
}

impl Metric for R2Score {
    fn name(&self) -> &str {
        "r2_score"
    }

    fn reset(&mut self) {
        self.count = 0;
        self.outputs.fill(Output::default());
    }

    fn update(&mut self, batch: &Batch<'_>) -> Result<()> {
        let name = "r2_score";
        batch.check(name)?;
        let width = batch.width();
        if width > 1 {
            batch.values(name)?;
        }
        if self.outputs.is_empty() {
            self.outputs.resize(width, Output::default());
        }
        if batch.shape.len() > 2 || self.outputs.len() != width {
            return Err(Error::Shape(Detail::new(
                name,
                format!("predictions of shape [samples, {}]", self.outputs.len()),
                format!("{:?}", batch.shape),
            )));
        }
        for sample in 0..batch.samples() {
            let weight = batch.weight(sample);
            for (column, &p) in batch.row(sample).iter().enumerate() {
                let output = &mut self.outputs[column];
                let t = f64::from(batch.target(sample, column));
                let residual = t - f64::from(p);
                let t = t - *output.origin.get_or_insert(t);
                output.weight += weight;
                output.sum += weight * t;
                output.square += weight * t * t;
                output.residual += weight * residual * residual;
            }
        }
        self.count += batch.predictions.len();
        Ok(())
    }

    fn result(&self) -> f64 {
        if self.outputs.is_empty() {
            return 0.0;
        }
        let scores = self.outputs.iter().map(Output::score);
        let score = match self.aggregation {
            Aggregation::None | Aggregation::UniformAverage => {
                scores.sum::<f64>() / self.outputs.len() as f64
            }
            Aggregation::VarianceWeightedAverage => {
                let totals = self.outputs.iter().map(Output::total);
                let all: f64 = totals.clone().sum();
                scores
                    .zip(totals)
                    .map(|(score, total)| score * total)
                    .sum::<f64>()
                    / all
            }
        };
        self.adjusted(score)
    }

    fn results(&self) -> Vec<f64> {
        match self.aggregation {
            Aggregation::None => self
                .outputs
                .iter()
                .map(|output| self.adjusted(output.score()))
                .collect(),
            _ => vec![self.result()],
        }
    }

    fn direction(&self) -> Option<Direction> {
        Some(Direction::Up)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Targets;

    fn score(targets: &[f32], predictions: &[f32]) -> f64 {
        let mut metric = R2Score::new();
        let shape = [targets.len(), 1];
        let targets = Targets::Values(targets);
        metric
            .update(&Batch {
                targets,
                predictions,
                shape: &shape,
                sample_weights: None,
            })
            .unwrap();
        metric.result()
    }

    #[test]
    fn targets_far_from_zero_lose_no_digits() {
        let near = score(&[0.0, 1.0, 2.0, 3.0], &[0.5, 1.0, 2.0, 2.5]);
        let far = score(
            &[1e6, 1e6 + 1.0, 1e6 + 2.0, 1e6 + 3.0],
            &[1e6 + 0.5, 1e6 + 1.0, 1e6 + 2.0, 1e6 + 2.5],
        );
        assert_eq!(near, far);
    }

    #[test]
    fn equal_targets_score_zero() {
        assert_eq!(score(&[2.0, 2.0], &[1.0, 2.0]), 0.0);
    }
}
