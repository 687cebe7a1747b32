//! What a callback sees of training, and may change.

use std::collections::BTreeMap;

use regraft_optimizers::Optimizer;

use super::CallbackState;
use crate::metrics::Direction;
use crate::training::compile::{Training, not_compiled};
use crate::training::fit::Fit;
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
    validates: bool,
    next_epoch: usize,
    stop: bool,
    /// What each callback remembers, once an epoch has ended.
    pub(super) states: BTreeMap<String, CallbackState>,
    /// What each callback shall go on from.
    pub(super) resumed: Option<BTreeMap<String, CallbackState>>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        model: &'a mut Model,
        validates: bool,
        steps: usize,
        options: &Fit<'_>,
    ) -> Self {
        Context {
            model,
            loss: 0.0,
            epochs: options.epochs,
            steps_per_epoch: steps,
            seed: options.seed,
            validates,
            next_epoch: options.initial_epoch,
            stop: false,
            states: BTreeMap::new(),
            resumed: None,
        }
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
