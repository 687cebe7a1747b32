//! What a callback sees of training, and may change.

use std::collections::BTreeMap;

use regraft_autograd::Feed;
use regraft_data::Slice;
use regraft_optimizers::Optimizer;
use regraft_tensor::Tensor;

use super::state::CallbackState;
use crate::metrics::Direction;
use crate::training::batches::Truth;
use crate::training::compiled::{Training, not_compiled};
use crate::training::steps::Steps;
use crate::{Model, Result};

/// What a callback sees of training, and may change.
#[derive(Debug)]
pub struct Context<'a> {
    /// The model that is trained. Whatever is changed of it, training goes on with the model as it is
    /// then.
    pub model: &'a mut Model,
    /// The mean loss of the epoch so far, after a batch.
    pub loss: f64,
    /// The number of the last epoch.
    pub epochs: usize,
    /// The number of steps of an epoch.
    pub steps_per_epoch: usize,
    /// The seed of `fit`.
    pub seed: u64,
    /// What the step was made of and gave, after a batch.
    pub(crate) seen: Option<Seen<'a>>,
    validates: bool,
    next_epoch: usize,
    stop: bool,
    /// What each callback remembers, once an epoch has ended.
    pub(super) states: BTreeMap<String, CallbackState>,
    /// What each callback shall go on from.
    pub(super) resumed: Option<BTreeMap<String, CallbackState>>,
}

/// A step that has been made.
#[derive(Debug)]
pub(crate) struct Seen<'a> {
    pub steps: &'a Steps,
    pub truth: &'a Truth<'a>,
}

/// What a context has of the options of `fit`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunOf {
    pub epochs: usize,
    pub initial_epoch: usize,
    pub seed: u64,
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        model: &'a mut Model,
        run: RunOf,
        validates: bool,
        steps_per_epoch: usize,
    ) -> Self {
        Context {
            model,
            loss: 0.0,
            epochs: run.epochs,
            steps_per_epoch,
            seed: run.seed,
            seen: None,
            validates,
            next_epoch: run.initial_epoch,
            stop: false,
            states: BTreeMap::new(),
            resumed: None,
        }
    }

    /// After a batch: its loss alone.
    pub fn batch_loss(&self) -> Option<f64> {
        let seen = self.seen.as_ref()?;
        Some(f64::from(seen.steps.loss_value()))
    }

    /// After a batch: name and value of each metric, of the epoch so far.
    pub fn metrics(&self) -> Vec<(String, f64)> {
        let Some(training) = &self.model.training else {
            return Vec::new();
        };
        let names = training.value_names().into_iter();
        let names = names.skip(training.part_names().len());
        let values = self.model.metrics().map(|metric| metric.result());
        names.zip(values).collect()
    }

    /// After a batch: what the model gave at output `output`, before the step.
    pub fn predictions(&self, output: usize) -> Option<Tensor> {
        let steps = self.seen.as_ref()?.steps;
        if output >= steps.outputs() {
            return None;
        }
        let values = steps.prediction(output).to_vec();
        let tensor = Tensor::new(steps.prediction_shape(output), values);
        Some(tensor.expect("an output has the elements of its shape"))
    }

    /// After a batch: the targets of output `output`, one sample after the other.
    pub fn targets(&self, output: usize) -> Option<Slice<'_>> {
        let targets = &self.seen.as_ref()?.truth.targets;
        Some(match targets.as_slice().get(output)? {
            Feed::F32(values) => Slice::F32(values),
            Feed::I32(classes) => Slice::I32(classes),
        })
    }

    /// After a batch: how much each sample counted in the loss of output `output`, or each of its steps, if
    /// they have weights.
    pub fn sample_weights(&self, output: usize) -> Option<&[f32]> {
        self.seen.as_ref()?.truth.weights(output)
    }

    /// After a batch: the gradient of its loss for the weight at `path`, if that is trained and a gradient
    /// reaches it.
    pub fn gradient(&self, path: &str) -> Option<&[f32]> {
        let id = self.model.weight(path)?.id();
        let mut gradients = self.seen.as_ref()?.steps.gradients().iter();
        let index = gradients.position(|(other, _)| *other == id)?;
        Some(self.seen.as_ref()?.steps.gradient(index).1)
    }

    /// After a batch: the paths of the weights that have a [`gradient`](Self::gradient).
    pub fn gradients(&self) -> impl Iterator<Item = (&str, &[f32])> {
        let steps = self.seen.iter().map(|seen| seen.steps);
        let all = steps
            .flat_map(|steps| (0..steps.gradients().len()).map(move |index| steps.gradient(index)));
        all.filter_map(|(id, gradient)| Some((self.model.weights().get(id)?.path(), gradient)))
    }

    /// The optimizer.
    ///
    /// # Errors
    /// If another model was put in the place of the one that is trained, and it is not compiled.
    pub fn optimizer(&self) -> Result<&Optimizer> {
        self.model.optimizer().ok_or_else(not_compiled)
    }

    /// The optimizer, to be changed (its learning rate, say).
    ///
    /// # Errors
    /// As [`optimizer`](Self::optimizer).
    pub fn optimizer_mut(&mut self) -> Result<&mut Optimizer> {
        self.model.optimizer_mut().ok_or_else(not_compiled)
    }

    /// Ends training after this epoch (or batch).
    pub fn stop(&mut self) {
        self.stop = true;
    }

    /// Starts training at this epoch, when called before the first.
    pub fn resume_at(&mut self, epoch: usize) {
        self.next_epoch = epoch;
    }

    /// The names that the history has of each epoch: `loss`, the metrics, and with validation the
    /// same with `val_` in front.
    pub fn quantities(&self) -> Vec<String> {
        let mut names = vec!["loss".to_string()];
        let training = self.model.training.iter();
        names.extend(training.flat_map(Training::value_names));
        if self.validates {
            let validated: Vec<String> = names.iter().map(|name| format!("val_{name}")).collect();
            names.extend(validated);
        }
        names
    }

    /// Which way a quantity of the history gets better: a loss downwards, a metric as it says.
    /// `None` if it does not say, or is not known.
    pub fn direction(&self, quantity: &str) -> Option<Direction> {
        let name = quantity.strip_prefix("val_").unwrap_or(quantity);
        if name == "loss" {
            return Some(Direction::Down);
        }
        let training = self.model.training.as_ref()?;
        let names = training.value_names();
        let position = names.iter().position(|known| known == name)?;
        let Some(metric) = position.checked_sub(training.output_names.len()) else {
            return Some(Direction::Down);
        };
        self.model.metrics().nth(metric)?.direction()
    }

    /// What each callback remembers, by its name: known [after an epoch](super::Callback::after_epoch).
    pub fn states(&self) -> &BTreeMap<String, CallbackState> {
        &self.states
    }

    /// Lets every callback go on from what it remembered, when called before the first epoch.
    pub fn resume_with(&mut self, states: BTreeMap<String, CallbackState>) {
        self.resumed = Some(states);
    }

    pub(crate) fn next_epoch(&self) -> usize {
        self.next_epoch
    }

    pub(crate) fn stops(&self) -> bool {
        self.stop
    }
}
