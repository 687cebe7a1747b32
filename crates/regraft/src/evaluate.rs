//! Evaluation: loss and metrics on data, nothing trained.

use regraft_autograd::Run;
use regraft_layers::Model as LayersModel;

use crate::Result;
use crate::batches::{Batcher, Dataset, Rows};
use crate::feature_cache::{FeatureCache, keep_features};
use crate::input::{IntoData, IntoInputs};
use crate::metrics;
use crate::prepare;
use crate::steps::{Features, Purpose, Steps};
use crate::trainable::{Network, Trainable, Training, not_compiled};

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
        model: &LayersModel,
        training: &Training,
        data: &Dataset<'_>,
        cache: FeatureCache,
        times: usize,
    ) -> Result<Self> {
        let purpose = Purpose::Evaluate {
            loss: &training.loss,
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
        model: &LayersModel,
        training: &mut Training,
        data: &Dataset<'_>,
        batch_size: usize,
    ) -> Result<Scores> {
        for metric in training
            .metrics
            .iter_mut()
            .chain(&mut training.weighted_metrics)
        {
            metric.reset();
        }
        let (samples, order) = (data.len(), data.members.as_deref());
        let mut loss = 0.0;
        let mut from = 0;
        while from < samples {
            let to = (from + batch_size).min(samples);
            let (batch, rows) = self
                .batcher
                .batch(data, self.features.as_ref(), order, (from, to));
            self.steps.run(&batch, model.weights(), Run::default())?;
            update_metrics(training, &self.steps, rows)?;
            loss += f64::from(self.steps.loss_value()) * (to - from) as f64;
            from = to;
        }
        let metrics = training.metrics.iter().chain(&training.weighted_metrics);
        Ok(Scores {
            loss: loss / samples.max(1) as f64,
            metrics: metrics
                .map(|metric| (metric.name().to_string(), metric.result()))
                .collect(),
        })
    }
}

impl<N: Network> Trainable<N> {
    /// The loss and the metrics on samples `x` with targets `y`.
    ///
    /// # Errors
    /// As [`fit`](Self::fit).
    pub fn evaluate<'a>(&mut self, x: impl IntoInputs<'a>, y: impl IntoData<'a>) -> Result<Scores> {
        /// Large, so that all cores are used; the loss is a weighted mean, so it does not matter.
        const BATCH: usize = 256;
        let training = self.training.as_mut().ok_or_else(not_compiled)?;
        let model = self.network.model();
        let inputs = x.into_inputs()?;
        let data = prepare::dataset("x", "y", model, &training.loss, inputs, y.into_data()?)?;
        let mut evaluation = Evaluation::new(model, training, &data, FeatureCache::Off, 1)?;
        evaluation.run(model, training, &data, BATCH)
    }
}

/// Tells the metrics of the batch that the steps ran on.
pub(crate) fn update_metrics(training: &mut Training, steps: &Steps, rows: Rows<'_>) -> Result<()> {
    let Training {
        metrics,
        weighted_metrics,
        ..
    } = training;
    let mut batch = metrics::Batch {
        targets: rows.metric_targets(),
        predictions: steps.output(steps.predictions),
        shape: steps.rest().output_shape(steps.predictions),
        sample_weights: None,
    };
    for metric in metrics.iter_mut() {
        metric.update(&batch)?;
    }
    batch.sample_weights = rows.weights;
    for metric in weighted_metrics.iter_mut() {
        metric.update(&batch)?;
    }
    Ok(())
}
