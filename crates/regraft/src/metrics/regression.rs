//! Errors of predicted numbers: each the mean over samples of the mean over a row, with
//! `t` the target and `p` the prediction. After
//! <https://keras.io/api/metrics/regression_metrics/>.

use regraft_layers::settings;

use super::mean::mean_metric;
use super::{Batch, Direction, Metric, Result, WeightedMean};

/// Keras' `epsilon()`: what stands in for zero in divisors and logarithms.
pub(super) const EPSILON: f32 = 1e-7;

/// The mean of `error(t, p)` over a row.
fn row_mean(targets: &[f32], predictions: &[f32], error: impl Fn(f64, f64) -> f64) -> f64 {
    let pairs = targets.iter().zip(predictions);
    let sum: f64 = pairs
        .map(|(&t, &p)| error(f64::from(t), f64::from(p)))
        .sum();
    sum / targets.len() as f64
}

mean_metric! {
    /// The mean of `|t − p|`; in the targets' unit.
    MeanAbsoluteError, "mean_absolute_error", "keras.metrics.MeanAbsoluteError", Down,
    |targets, predictions| row_mean(targets, predictions, |t, p| (t - p).abs())
}

mean_metric! {
    /// The mean of `(t − p)²`.
    MeanSquaredError, "mean_squared_error", "keras.metrics.MeanSquaredError", Down,
    |targets, predictions| row_mean(targets, predictions, |t, p| (t - p) * (t - p))
}

mean_metric! {
    /// The mean of `100 · |t − p| / max(|t|, 1e-7)`; in percent.
    MeanAbsolutePercentageError, "mean_absolute_percentage_error", "keras.metrics.MeanAbsolutePercentageError", Down,
    |targets, predictions| row_mean(targets, predictions, |t, p| {
        100.0 * (t - p).abs() / t.abs().max(f64::from(EPSILON))
    })
}

mean_metric! {
    /// The mean of `(ln(1 + t) − ln(1 + p))²`, values below `1e-7` counting as that.
    MeanSquaredLogarithmicError, "mean_squared_logarithmic_error", "keras.metrics.MeanSquaredLogarithmicError", Down,
    |targets, predictions| row_mean(targets, predictions, |t, p| {
        let log = |value: f64| value.max(f64::from(EPSILON)).ln_1p();
        (log(t) - log(p)).powi(2)
    })
}

mean_metric! {
    /// The mean of `ln cosh(p − t)`: squared near zero, absolute far from it.
    LogCoshError, "logcosh", "keras.metrics.LogCoshError", Down,
    |targets, predictions| row_mean(targets, predictions, |t, p| {
        // ln cosh x = |x| + ln(1 + e^(−2|x|)) − ln 2, which cannot overflow.
        let x = (p - t).abs();
        x + (-2.0 * x).exp().ln_1p() - std::f64::consts::LN_2
    })
}

mean_metric! {
    /// The mean of the cosine of the angle between target and prediction row,
    /// `t·p / (max(‖t‖, 1e-7) max(‖p‖, 1e-7))`: 1 for the same direction, −1 for the opposite.
    CosineSimilarity, "cosine_similarity", "keras.metrics.CosineSimilarity", Up,
    |targets, predictions| {
        let (mut dot, mut target_square, mut square) = (0.0, 0.0, 0.0);
        for (&t, &p) in targets.iter().zip(predictions) {
            let (t, p) = (f64::from(t), f64::from(p));
            dot += t * p;
            target_square += t * t;
            square += p * p;
        }
        let norm = |square: f64| square.sqrt().max(f64::from(EPSILON));
        dot / (norm(target_square) * norm(square))
    }
}

settings! {
    /// The square root of the mean of `(t − p)²` over all batches; in the targets' unit.
    #[derive(Clone, Debug)]
    pub struct RootMeanSquaredError as "keras.metrics.RootMeanSquaredError" {
        /// The metric before its first batch.
        new()
    }
    state { mean: WeightedMean = WeightedMean::default() }
}

impl Metric for RootMeanSquaredError {
    fn name(&self) -> &str {
        "root_mean_squared_error"
    }

    fn reset(&mut self) {
        self.mean = WeightedMean::default();
    }

    fn update(&mut self, batch: &Batch<'_>) -> Result<()> {
        self.mean
            .add_rows("root_mean_squared_error", batch, |targets, predictions| {
                row_mean(targets, predictions, |t, p| (t - p) * (t - p))
            })
    }

    fn result(&self) -> f64 {
        self.mean.get().sqrt()
    }

    fn direction(&self) -> Option<Direction> {
        Some(Direction::Down)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Error, Targets};

    #[test]
    fn far_predictions_do_not_overflow_log_cosh() {
        let mut metric = LogCoshError::new();
        let batch = Batch {
            targets: Targets::Values(&[0.0]),
            predictions: &[1e4],
            shape: &[1, 1],
            sample_weights: None,
        };
        metric.update(&batch).unwrap();
        assert!((metric.result() - (1e4 - std::f64::consts::LN_2)).abs() < 1e-9);
    }

    #[test]
    fn class_numbers_are_no_values_unless_a_row_is_one_prediction() {
        let mut metric = MeanSquaredError::new();
        let mut batch = Batch {
            targets: Targets::Classes(&[1]),
            predictions: &[0.5, 0.5],
            shape: &[1, 2],
            sample_weights: None,
        };
        assert!(matches!(metric.update(&batch), Err(Error::Target(_))));
        batch.predictions = &[0.5];
        batch.shape = &[1, 1];
        metric.update(&batch).unwrap();
        assert_eq!(metric.result(), 0.25);
    }
}
