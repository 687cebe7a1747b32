//! Evaluation: loss and metrics on data, nothing trained.

use regraft_autograd::Run;
use regraft_layers::Model as Network;

use crate::metrics;
use crate::training::batches::{Batcher, Dataset, Rows};
use crate::training::compile::{Training, not_compiled};
use crate::training::feature_cache::{FeatureCache, keep_features};
use crate::training::input::IntoInputs;
use crate::training::prepare;
use crate::training::steps::{Features, Purpose, Steps};
use crate::{Model, Result};

/// The loss and the metrics on some data.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    /// The loss, penalties included.
    pub loss: f64,
    /// Name and value of each metric.
    pub metrics: Vec<(String, f64)>,
}

impl Scores {
    /// The metric called `name`, or the loss for `"loss"`.
    pub fn get(&self, name: &str) -> Option<f64> {
        if name == "loss" {
            return Some(self.loss);
        }
        let found = self.metrics.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| *value)
    }
}

impl std::fmt::Display for Scores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "loss: {:.4}", self.loss)?;
        for (name, value) in &self.metrics {
            write!(f, " - {name}: {value:.4}")?;
        }
        Ok(())
    }
}

/// Programs that evaluate a model again and again while its trained weights change.
#[derive(Debug)]
pub(crate) struct Evaluation {
    steps: Steps,
    features: Option<Features>,
    batcher: Batcher,
}

impl Evaluation {
    pub fn new(
        model: &Network,
        training: &Training,
        data: &Dataset<'_>,
        cache: FeatureCache,
        times: usize,
    ) -> Result<Self> {
        let purpose = Purpose::Evaluate {
            objective: &training.objective,
            weighted: data.weights.is_some(),
        };
        let mut steps = Steps::new(model, purpose, times > 1)?;
        let features = keep_features(&mut steps, model, data, cache, times)?;
        Ok(Evaluation {
            batcher: Batcher::new(steps.feed_plan(features.is_some())),
            steps,
            features,
        })
    }

    /// The loss and the metrics.
    pub fn run(
        &mut self,
        model: &Network,
        training: &mut Training,
        data: &Dataset<'_>,
        batch_size: usize,
    ) -> Result<Scores> {
        training.metrics.reset();
        training.weighted_metrics.reset();
        let (samples, order) = (data.len(), data.members.as_deref());
        let mut loss = 0.0;
        let mut losses = vec![0.0; training.output_names.len()];
        let mut from = 0;
        while from < samples {
            let to = (from + batch_size).min(samples);
            let (batch, rows) = self
                .batcher
                .batch(data, self.features.as_ref(), order, (from, to));
            self.steps.run(&batch, model.weights(), Run::default())?;
            update_metrics(training, &self.steps, &rows)?;
            let count = (to - from) as f64;
            loss += f64::from(self.steps.loss_value()) * count;
            for (sum, loss) in losses.iter_mut().zip(self.steps.loss_values()) {
                *sum += f64::from(loss) * count;
            }
            from = to;
        }
        let mean = |sum: f64| sum / samples.max(1) as f64;
        let metrics = training
            .metrics
            .iter()
            .chain(training.weighted_metrics.iter());
        let results = metrics.map(|metric| metric.result());
        let values = losses.into_iter().map(mean).chain(results);
        Ok(Scores {
            loss: mean(loss),
            metrics: training.value_names().into_iter().zip(values).collect(),
        })
    }
}

impl Model {
    /// The loss and the metrics on samples `x` with targets `y`: of a model of several inputs or
    /// outputs, a tuple or a list of arrays. With several outputs the scores have the loss of each.
    ///
    /// # Errors
    /// As [`fit`](Self::fit).
    pub fn evaluate<'a>(
        &mut self,
        x: impl IntoInputs<'a>,
        y: impl IntoInputs<'a>,
    ) -> Result<Scores> {
        /// Large, so that all cores are used; the loss is a weighted mean, so it does not matter.
        const BATCH: usize = 256;
        /// Keras' own, which matters where masks say how many steps of a batch count.
        const MASKED: usize = 32;
        let training = self.training.as_mut().ok_or_else(not_compiled)?;
        let model = &self.network;
        let (inputs, targets) = (x.into_inputs()?, y.into_inputs()?);
        training.fit_to(model)?;
        let data = prepare::dataset("x", "y", model, &training.objective, inputs, targets)?;
        let mut evaluation = Evaluation::new(model, training, &data, FeatureCache::Off, 1)?;
        let batch_size = match evaluation.steps.is_masked() {
            true => MASKED,
            false => BATCH,
        };
        evaluation.run(model, training, &data, batch_size)
    }
}

/// Tells the metrics of the batch that the steps ran on.
pub(crate) fn update_metrics(
    training: &mut Training,
    steps: &Steps,
    rows: &Rows<'_>,
) -> Result<()> {
    let metrics = training.metrics.iter_mut().map(|one| (one, None));
    let weighted = training.weighted_metrics.iter_mut();
    for ((output, metric), weights) in metrics.chain(weighted.map(|one| (one, rows.weights))) {
        // With one output all metrics are of it.
        let output = if steps.outputs > 1 { output } else { 0 };
        metric.follow(steps.links[output]);
        let batch = metrics::Batch {
            targets: rows.metric_targets(output),
            predictions: steps.output(output),
            shape: steps.output_shape(output),
            sample_weights: weights,
        };
        metrics::update_masked(metric, &batch, steps.mask(output))?;
    }
    Ok(())
}
