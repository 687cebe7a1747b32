//! Means over samples: the sum that most metrics keep.

use regraft_layers::settings;

use super::{Batch, Metric, Result};

/// A weighted mean, summed in `f64`: `Σ weight · value / Σ weight`, and 0 while the weights sum to 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WeightedMean {
    total: f64,
    weights: f64,
}

impl WeightedMean {
    /// Counts `value` with `weight`.
    pub fn add(&mut self, value: f64, weight: f64) {
        self.total += value * weight;
        self.weights += weight;
    }

    /// Counts `value` as part of its sample but no weight; see [`add_weights`](Self::add_weights).
    pub(super) fn add_part(&mut self, weighted_value: f64) {
        self.total += weighted_value;
    }

    /// Counts the weights of all samples of `batch`.
    pub(super) fn add_weights(&mut self, batch: &Batch<'_>) {
        self.weights += match batch.sample_weights {
            None => batch.samples() as f64,
            Some(weights) => weights.iter().map(|&weight| f64::from(weight)).sum(),
        };
    }

    /// The mean so far.
    pub fn get(&self) -> f64 {
        if self.weights == 0.0 {
            0.0
        } else {
            self.total / self.weights
        }
    }

    /// Adds a batch: a sample's value is the mean of `value(target row, predicted row)` over its
    /// rows, as Keras' `MeanMetricWrapper` reduces it.
    pub(super) fn add_rows(
        &mut self,
        name: &str,
        batch: &Batch<'_>,
        mut value: impl FnMut(&[f32], &[f32]) -> f64,
    ) -> Result<()> {
        let per_row = batch.samples() as f64 / batch.rows().max(1) as f64;
        // Summed apart, so that a batch that turns out to be wrong leaves nothing behind.
        let mut total = 0.0;
        batch.each_row(name, |sample, target, predicted| {
            total += value(target, predicted) * batch.weight(sample) * per_row;
        })?;
        self.add_part(total);
        self.add_weights(batch);
        Ok(())
    }

    /// As [`add_rows`](Self::add_rows), for targets that are class numbers:
    /// `value(class, predicted row)`.
    pub(super) fn add_class_rows(
        &mut self,
        name: &str,
        batch: &Batch<'_>,
        mut value: impl FnMut(usize, &[f32]) -> f64,
    ) -> Result<()> {
        batch.check(name)?;
        let per_sample = batch.rows_per_sample();
        for (row, &class) in batch.classes(name)?.iter().enumerate() {
            let weight = batch.weight(row / per_sample) / per_sample as f64;
            self.add_part(value(class as usize, batch.row(row)) * weight);
        }
        self.add_weights(batch);
        Ok(())
    }
}

settings! {
    /// The mean of the predictions over samples, whatever the targets; Keras' `Mean`.
    #[derive(Clone, Debug)]
    pub struct Mean as "keras.metrics.Mean" {
        /// The mean of nothing yet.
        new()
    }
    state { mean: WeightedMean = WeightedMean::default() }
}

impl Metric for Mean {
    fn name(&self) -> &str {
        "mean"
    }

    fn reset(&mut self) {
        self.mean = WeightedMean::default();
    }

    fn update(&mut self, batch: &Batch<'_>) -> Result<()> {
        batch.check("mean")?;
        let size = batch.predictions.len() / batch.samples().max(1);
        if size == 0 {
            return Ok(());
        }
        for (sample, values) in batch.predictions.chunks_exact(size).enumerate() {
            let sum: f64 = values.iter().map(|&value| f64::from(value)).sum();
            self.mean.add_part(batch.weight(sample) * sum / size as f64);
        }
        self.mean.add_weights(batch);
        Ok(())
    }

    fn result(&self) -> f64 {
        self.mean.get()
    }
}

settings! {
    /// The sum of the predictions, each sample's weighted, whatever the targets; Keras' `Sum`.
    #[derive(Clone, Debug)]
    pub struct Sum as "keras.metrics.Sum" {
        /// The sum of nothing yet.
        new()
    }
    state { total: f64 = 0.0 }
}

impl Metric for Sum {
    fn name(&self) -> &str {
        "sum"
    }

    fn reset(&mut self) {
        self.total = 0.0;
    }

    fn update(&mut self, batch: &Batch<'_>) -> Result<()> {
        batch.check("sum")?;
        let size = (batch.predictions.len() / batch.samples().max(1)).max(1);
        for (sample, values) in batch.predictions.chunks_exact(size).enumerate() {
            let sum: f64 = values.iter().map(|&value| f64::from(value)).sum();
            self.total += batch.weight(sample) * sum;
        }
        Ok(())
    }

    fn result(&self) -> f64 {
        self.total
    }
}

/// Defines a metric that is the mean over samples of one number per row.
macro_rules! mean_metric {
    (
        $(#[$attribute:meta])*
        $name:ident, $keras:literal, $class:literal, $direction:ident, |$target:ident, $predicted:ident| $value:expr
    ) => {
        regraft_layers::settings! {
            $(#[$attribute])*
            #[derive(Clone, Debug)]
            pub struct $name as $class {
                /// The metric before its first batch.
                new()
            }
            state { mean: $crate::metrics::WeightedMean = $crate::metrics::WeightedMean::default() }
            reading |settings, _metric| {
                $crate::metrics::settings::last_axis(settings)?;
            }
        }

        impl $crate::metrics::Metric for $name {
            fn name(&self) -> &str {
                $keras
            }

            fn looks_at_masks(&self) -> bool {
                true
            }

            fn reset(&mut self) {
                self.mean = $crate::metrics::WeightedMean::default();
            }

            fn update(
                &mut self,
                batch: &$crate::metrics::Batch<'_>,
            ) -> $crate::metrics::Result<()> {
                self.mean.add_rows($keras, batch, |$target, $predicted| $value)
            }

            fn result(&self) -> f64 {
                self.mean.get()
            }

            fn direction(&self) -> Option<$crate::metrics::Direction> {
                Some($crate::metrics::Direction::$direction)
            }
        }
    };
}
pub(super) use mean_metric;
