//! How predictions go with targets. After <https://keras.io/api/metrics/regression_metrics/>.

use super::along::Along;
use super::regression::EPSILON;
use super::{Batch, Direction, Metric, Result, WeightedMean};

/// Means and variances of a row of targets and of predictions, and their covariance.
struct Moments {
    targets: f64,
    predictions: f64,
    target_variance: f64,
    variance: f64,
    covariance: f64,
}

impl Moments {
    fn of(targets: &[f32], predictions: &[f32]) -> Self {
        let count = targets.len() as f64;
        let mean = |values: &[f32]| values.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
        let (t, p) = (mean(targets), mean(predictions));
        let (mut tt, mut pp, mut tp) = (0.0, 0.0, 0.0);
        for (&target, &prediction) in targets.iter().zip(predictions) {
            let (a, b) = (f64::from(target) - t, f64::from(prediction) - p);
            tt += a * a;
            pp += b * b;
            tp += a * b;
        }
        Moments {
            targets: t,
            predictions: p,
            target_variance: tt / count,
            variance: pp / count,
            covariance: tp / count,
        }
    }
}

macro_rules! correlation {
    ($(#[$documentation:meta])* $name:ident, $keras:literal, $class:literal, |$m:ident| $value:expr) => {
        regraft_layers::settings! {
            $(#[$documentation])*
            ///
            /// A row lies along the last axis unless [`axis`](Self::axis) says otherwise; the result is the
            /// mean over rows.
            #[derive(Clone, Debug)]
            pub struct $name as $class {
                /// Along the last axis.
                new()
                /// Along this axis of the predictions, samples first; negative ones count from the end.
                /// Default −1.
                axis: i64 = -1,
            }
            state {
                mean: WeightedMean = WeightedMean::default(),
                along: Along = Along::default(),
            }
        }

        impl Metric for $name {
            fn name(&self) -> &str {
                $keras
            }

            fn reset(&mut self) {
                self.mean = WeightedMean::default();
            }

            fn update(&mut self, batch: &Batch<'_>) -> Result<()> {
                let batch = self.along.of($keras, batch, self.axis)?;
                self.mean.add_rows($keras, &batch, |targets, predictions| {
                    let $m = Moments::of(targets, predictions);
                    $value
                })
            }

            fn result(&self) -> f64 {
                self.mean.get()
            }

            fn looks_at_masks(&self) -> bool {
                true
            }

            fn direction(&self) -> Option<Direction> {
                Some(Direction::Up)
            }
        }
    };
}

correlation! {
    /// Pearson's coefficient of each row, `cov(t, p) / (σ_t σ_p)`, from −1 to 1; not a number where a
    /// row's values are all equal, as in Keras.
    PearsonCorrelation, "pearson_correlation", "keras.metrics.PearsonCorrelation",
    |m| m.covariance / (m.target_variance.sqrt() * m.variance.sqrt())
}

correlation! {
    /// The concordance coefficient of each row as Keras computes it, `2 c / (σ_t² + σ_p² + (t̄ − p̄)² +
    /// 1e-7)` with `c` the mean of `(t − p̄)(p − p̄)`, from −1 to 1.
    ConcordanceCorrelation, "concordance_correlation", "keras.metrics.ConcordanceCorrelation",
    |m| {
        let difference = m.targets - m.predictions;
        let norm = m.target_variance + m.variance + difference * difference;
        2.0 * m.covariance / (norm + f64::from(EPSILON))
    }
}
