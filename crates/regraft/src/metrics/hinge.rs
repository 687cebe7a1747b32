//! Margins that predictions miss. After <https://keras.io/api/metrics/hinge_metrics/>.

use super::mean::mean_metric;
use super::{Batch, Direction, Metric, Result, Targets, WeightedMean};

mean_metric! {
    /// The mean over rows of `max(max((1 − t) p) − Σ t p + 1, 0)`: how far the target class is from
    /// winning by 1. Targets are one-hot rows.
    CategoricalHinge, "categorical_hinge", "keras.metrics.CategoricalHinge", Down,
    |targets, predictions| {
        let (mut positive, mut negative) = (0.0, f64::NEG_INFINITY);
        for (&t, &p) in targets.iter().zip(predictions) {
            positive += f64::from(t) * f64::from(p);
            negative = f64::max(negative, (1.0 - f64::from(t)) * f64::from(p));
        }
        (negative - positive + 1.0).max(0.0)
    }
}

fn update(
    mean: &mut WeightedMean,
    name: &str,
    batch: &Batch<'_>,
    penalty: impl Fn(f64) -> f64,
) -> Result<()> {
    let binary = match batch.targets {
        Targets::Values(values) => values.iter().all(|&t| t == 0.0 || t == 1.0),
        Targets::Classes(classes) => classes.iter().all(|&t| t == 0 || t == 1),
    };
    mean.add_rows(name, batch, |targets, predictions| {
        let pairs = targets.iter().zip(predictions);
        let sum: f64 = pairs
            .map(|(&t, &p)| {
                let t = if binary {
                    2.0 * f64::from(t) - 1.0
                } else {
                    f64::from(t)
                };
                penalty((1.0 - t * f64::from(p)).max(0.0))
            })
            .sum();
        sum / targets.len() as f64
    })
}

macro_rules! hinge_metric {
    ($(#[$attribute:meta])* $name:ident, $keras:literal, $class:literal, $penalty:expr) => {
        regraft_layers::settings! {
            $(#[$attribute])*
            #[derive(Clone, Debug)]
            pub struct $name as $class {
                /// The metric before its first batch.
                new()
            }
            state { mean: WeightedMean = WeightedMean::default() }
        }

        impl Metric for $name {
            fn name(&self) -> &str {
                $keras
            }

            fn looks_at_masks(&self) -> bool {
                true
            }

            fn reset(&mut self) {
                self.mean = WeightedMean::default();
            }

            fn update(&mut self, batch: &Batch<'_>) -> Result<()> {
                update(&mut self.mean, $keras, batch, $penalty)
            }

            fn result(&self) -> f64 {
                self.mean.get()
            }

            fn direction(&self) -> Option<Direction> {
                Some(Direction::Down)
            }
        }
    };
}
hinge_metric! {
    /// The mean of `max(1 − t p, 0)`. Targets are −1 and 1; if a batch has only 0 and 1, they are taken
    /// for −1 and 1.
    Hinge, "hinge", "keras.metrics.Hinge", |margin| margin
}
hinge_metric! {
    /// The mean of `max(1 − t p, 0)²`. Targets are −1 and 1; if a batch has only 0 and 1, they are taken
    /// for −1 and 1.
    SquaredHinge, "squared_hinge", "keras.metrics.SquaredHinge", |margin| margin * margin
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_and_one_count_as_minus_one_and_one() {
        let result = |targets| {
            let mut metric = Hinge::new();
            let batch = Batch {
                targets,
                predictions: &[0.3, -0.4],
                shape: &[2, 1],
                sample_weights: None,
            };
            metric.update(&batch).unwrap();
            metric.result()
        };
        let expected = result(Targets::Values(&[1.0, -1.0]));
        assert_eq!(result(Targets::Values(&[1.0, 0.0])), expected);
        assert_eq!(result(Targets::Classes(&[1, 0])), expected);
    }
}
