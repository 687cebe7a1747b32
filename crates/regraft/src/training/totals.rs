//! The loss and the metrics of an epoch so far, of training or of an evaluation.

use crate::training::batches::Truth;
use crate::training::compiled::Training;
use crate::training::compiled_metrics::CompiledMetrics;
use crate::training::scores::Scores;
use crate::training::steps::Steps;
use crate::{Result, metrics};

/// Sums over the samples that have been seen. Those of the metrics are in clones of the metrics: whatever
/// becomes of the model's own between two batches, when a callback evaluates or compiles it, changes nothing.
#[derive(Debug)]
pub(crate) struct Totals {
    metrics: CompiledMetrics,
    weighted_metrics: CompiledMetrics,
    /// Of all values but the loss.
    names: Vec<String>,
    loss: f64,
    /// Of the losses of the outputs, if several have one.
    parts: Vec<f64>,
    seen: usize,
}

impl Totals {
    /// Before the first batch.
    pub fn begin(training: &Training) -> Self {
        let mut metrics = training.metrics.clone();
        let mut weighted_metrics = training.weighted_metrics.clone();
        metrics.reset();
        weighted_metrics.reset();
        Totals {
            metrics,
            weighted_metrics,
            names: training.value_names(),
            loss: 0.0,
            parts: vec![0.0; training.part_names().len()],
            seen: 0,
        }
    }

    /// Adds the batch that the steps ran on, of so many samples.
    pub fn add(&mut self, steps: &Steps, truth: &Truth<'_>, samples: usize) -> Result<()> {
        let metrics = self.metrics.iter_mut().map(|one| (one, false));
        let weighted = self.weighted_metrics.iter_mut().map(|one| (one, true));
        for ((output, metric), weighted) in metrics.chain(weighted) {
            // With one output all metrics are of it.
            let output = if steps.outputs() > 1 { output } else { 0 };
            let weights = truth.weights(output).filter(|_| weighted);
            metric.follow(steps.links[output]);
            let batch = metrics::Batch {
                targets: truth.metric_targets(output),
                predictions: steps.prediction(output),
                shape: steps.prediction_shape(output),
                sample_weights: None,
            };
            let mask = (steps.mask(output), steps.masks_weigh_metrics);
            metrics::update_masked(metric, &batch, weights, mask)?;
        }
        self.loss += f64::from(steps.loss_value()) * samples as f64;
        for (sum, loss) in self.parts.iter_mut().zip(steps.loss_values()) {
            *sum += f64::from(loss) * samples as f64;
        }
        self.seen += samples;
        Ok(())
    }

    /// The mean loss.
    pub fn loss(&self) -> f64 {
        self.mean(self.loss)
    }

    fn mean(&self, sum: f64) -> f64 {
        sum / self.seen.max(1) as f64
    }

    /// What the metrics say that are not weighted.
    pub fn metrics(&self) -> impl Iterator<Item = (&str, f64)> {
        let metrics = self.metrics.iter();
        metrics.map(|metric| (metric.name(), metric.result()))
    }

    /// Lets the model's own metrics say the same.
    pub fn show(&self, training: &mut Training) {
        training.metrics.take_from(&self.metrics);
        training.weighted_metrics.take_from(&self.weighted_metrics);
    }

    /// The means, and what the metrics say, the model's own from now on too.
    pub fn scores(&self, training: &mut Training) -> Scores {
        self.show(training);
        let parts = self.parts.iter().map(|&sum| self.mean(sum));
        let metrics = self.metrics.iter().chain(self.weighted_metrics.iter());
        let values = parts.chain(metrics.map(|metric| metric.result()));
        Scores {
            loss: self.loss(),
            metrics: self.names.iter().cloned().zip(values).collect(),
        }
    }
}
