//! What a callback sees of training, and may change.

use std::collections::BTreeMap;
use std::path::Path;

use regraft_layers::Model;
use regraft_optimizers::Optimizer;

use super::CallbackState;
use crate::Result;
use crate::files::save::Saving;
use crate::metrics::Direction;
use crate::trainable::{Compiled, Training, value_names};
use crate::training::compiled_metrics::CompiledMetrics;
use crate::training::fit::Fit;
use crate::training::objective::Objective;

/// What a callback sees of training, and may change.
#[derive(Debug)]
pub struct Context<'a> {
    /// The model. What is frozen may be changed before an epoch.
    pub model: &'a mut Model,
    /// The optimizer.
    pub optimizer: &'a mut Optimizer,
    /// The mean loss of the epoch so far, after a batch.
    pub loss: f64,
    /// The number of the last epoch.
    pub epochs: usize,
    /// The number of steps of an epoch.
    pub steps_per_epoch: usize,
    /// The seed of `fit`.
    pub seed: u64,
    objective: &'a Objective,
    output_names: &'a [String],
    metrics: &'a CompiledMetrics,
    weighted_metrics: &'a CompiledMetrics,
    class_names: Option<&'a [String]>,
    validates: bool,
    next_epoch: usize,
    stop: bool,
    /// What each callback remembers, once an epoch has ended.
    pub(super) states: BTreeMap<String, CallbackState>,
    /// What each callback shall go on from.
    pub(super) resumed: Option<BTreeMap<String, CallbackState>>,
}

/// What a context is made of.
#[derive(Debug)]
pub(crate) struct Parts<'a> {
    pub model: &'a mut Model,
    pub training: &'a mut Training,
    pub class_names: Option<&'a [String]>,
    pub validates: bool,
    pub steps_per_epoch: usize,
}

impl<'a> Context<'a> {
    pub(crate) fn new(parts: Parts<'a>, options: &Fit<'_>) -> Self {
        let Training {
            optimizer,
            objective,
            metrics,
            weighted_metrics,
            output_names,
            unknown_optimizer: _,
        } = parts.training;
        Context {
            model: parts.model,
            optimizer,
            loss: 0.0,
            epochs: options.epochs,
            steps_per_epoch: parts.steps_per_epoch,
            seed: options.seed,
            objective,
            output_names,
            metrics,
            weighted_metrics,
            class_names: parts.class_names,
            validates: parts.validates,
            next_epoch: options.initial_epoch,
            stop: false,
            states: BTreeMap::new(),
            resumed: None,
        }
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
        names.extend(self.value_names());
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
        let position = self.value_names().iter().position(|known| known == name)?;
        let Some(metric) = position.checked_sub(self.output_names.len()) else {
            return Some(Direction::Down);
        };
        let mut metrics = self.metrics.iter().chain(self.weighted_metrics.iter());
        metrics.nth(metric)?.direction()
    }

    fn value_names(&self) -> Vec<String> {
        value_names(self.output_names, [self.metrics, self.weighted_metrics])
    }

    /// Saves the weights and the optimizer's memory, as
    /// [`Trainable::save_weights`](crate::Trainable::save_weights).
    ///
    /// # Errors
    /// As that.
    pub fn save_weights(&self, path: impl AsRef<Path>) -> Result<()> {
        self.saving().save_weights(path.as_ref())
    }

    /// Saves the whole model, as [`Trainable::save`](crate::Trainable::save).
    ///
    /// # Errors
    /// As that.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        self.saving().save(path.as_ref())
    }

    fn saving(&self) -> Saving<'_> {
        Saving {
            model: self.model,
            compiled: Some(Compiled {
                optimizer: self.optimizer,
                unknown_optimizer: None,
                objective: self.objective,
                metrics: self.metrics,
                weighted_metrics: self.weighted_metrics,
            }),
            class_names: self.class_names,
        }
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
