//! What `compile` gives a model: the optimizer, the loss and the metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use regraft_io::SavedOptimizer;
use regraft_layers::Model as Network;
use regraft_layers::losses::LossFunction;
use regraft_optimizers::{IntoOptimizer, Optimizer};
use regraft_tensor::Detail;
use serde_json::{Value, json};

use crate::files::loss_scaling::LossScaling;
use crate::metrics::IntoMetrics;
use crate::training::compiled_metrics::CompiledMetrics;
use crate::training::objective::Objective;
use crate::{Error, Model, Result};

/// What `compile` gave.
#[derive(Clone, Debug)]
pub(crate) struct Training {
    /// Another one after each change of what follows but the optimizer's own: programs that were made
    /// before do not hold any more.
    pub number: u64,
    pub optimizer: Optimizer,
    pub objective: Objective,
    /// What the file says of an optimizer that is not known here. [`optimizer`](Self::optimizer) only
    /// stands in its place then, and trains nothing.
    pub unknown_optimizer: Option<Box<UnknownOptimizer>>,
    /// Around the optimizer, in files.
    pub loss_scaling: Option<LossScaling>,
    pub metrics: CompiledMetrics,
    pub weighted_metrics: CompiledMetrics,
    /// The names of the outputs, if there are several: metrics and losses are told apart by them.
    pub output_names: Vec<String>,
}

/// An optimizer that is not known here: it is saved as it came.
#[derive(Clone, Debug)]
pub(crate) struct UnknownOptimizer {
    pub reason: Detail,
    pub config: Value,
    pub memory: Option<SavedOptimizer>,
}

impl Training {
    pub fn new(optimizer: Optimizer, objective: Objective, metrics: CompiledMetrics) -> Self {
        Training {
            number: next_number(),
            optimizer,
            objective,
            unknown_optimizer: None,
            loss_scaling: None,
            metrics,
            weighted_metrics: CompiledMetrics::default(),
            output_names: Vec::new(),
        }
    }

    /// Checks that losses and metrics go with the outputs of `model`.
    pub fn fit_to(&mut self, model: &Network) -> Result<()> {
        self.objective.losses(model)?;
        self.output_names = match model.output_names() {
            names if names.len() > 1 => names,
            _ => Vec::new(),
        };
        let outputs = self.output_names.len();
        self.metrics.check("metrics", outputs)?;
        self.weighted_metrics.check("weighted_metrics", outputs)
    }

    /// Checks that there is an optimizer.
    pub fn check_optimizer(&self) -> Result<()> {
        match &self.unknown_optimizer {
            None => Ok(()),
            Some(unknown) => Err(Error::Setting(unknown.reason.clone().help(
                "register it and open the file again, or give another to `set_optimizer`",
            ))),
        }
    }

    /// The names that histories have besides `loss`: of the metrics as they are if there is one
    /// output; otherwise the loss of each output, and each metric with its output's name in front. Where
    /// names would be the same, the later ones get a number, and weighted metrics the word in front, as in
    /// Keras.
    pub fn value_names(&self) -> Vec<String> {
        let outputs = &self.output_names;
        let all = [&self.metrics, &self.weighted_metrics];
        let mut names: Vec<String> = outputs.iter().map(|name| format!("{name}_loss")).collect();
        let from = names.len();
        for (weighted, metrics) in [false, true].into_iter().zip(all) {
            let plain = metrics.iter().map(|metric| metric.name().to_string());
            for (mut name, plain) in metrics.names(outputs).zip(plain) {
                if weighted && names[from..].contains(&name) {
                    let output = name.strip_suffix(&plain).unwrap_or_default();
                    name = format!("{output}weighted_{plain}");
                }
                let mut unique = name.clone();
                let mut number = 0;
                while names[from..].contains(&unique) {
                    number += 1;
                    unique = format!("{name}_{number}");
                }
                names.push(unique);
            }
        }
        names
    }

    /// How Keras stores what `compile` was given, of a model with so many outputs. Metrics that Keras
    /// does not have are left out, so that it opens the file.
    pub fn config(&self, outputs: usize) -> Value {
        let (loss, loss_weights) = self.objective.config();
        json!({
            "optimizer": self.optimizer_config(false),
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": self.metrics.config(outputs, false),
            "weighted_metrics": self.weighted_metrics.config(outputs, false),
            "run_eagerly": false,
            "steps_per_execution": 1,
            "jit_compile": false,
        })
    }

    fn optimizer_config(&self, legacy: bool) -> Value {
        let optimizer = match &self.unknown_optimizer {
            None => self.optimizer.config(),
            Some(unknown) => unknown.config.clone(),
        };
        match &self.loss_scaling {
            None => optimizer,
            Some(scaling) => scaling.config(optimizer, legacy),
        }
    }

    /// All metrics, if there are some that Keras does not have.
    pub fn own_metrics(&self, outputs: usize) -> Option<Value> {
        let own = self.metrics.has_own() || self.weighted_metrics.has_own();
        own.then(|| {
            json!({
                "metrics": self.metrics.config(outputs, true),
                "weighted_metrics": self.weighted_metrics.config(outputs, true),
            })
        })
    }

    /// How Keras stores it in a legacy `.h5` model.
    pub fn legacy_config(&self, outputs: usize) -> Value {
        let config = self.config(outputs);
        let optimizer = self.optimizer_config(true);
        json!({
            "loss": config["loss"],
            "metrics": config["metrics"],
            "weighted_metrics": config["weighted_metrics"],
            "loss_weights": config["loss_weights"],
            "optimizer_config": {
                "class_name": optimizer["class_name"],
                "config": optimizer["config"],
            },
        })
    }
}

impl Model {
    /// Says how to train: the optimizer (`Adam::new(1e-3)` or `"adam"`), the loss (a
    /// value of [`losses`](crate::losses) or a name such as `"mse"`), and metrics
    /// (`["accuracy"]`, or values; `()` for none).
    ///
    /// What is trainable is not fixed here; it is read at every `fit`.
    ///
    /// If the model has several outputs, the loss is that of each (unless [`losses`](Self::losses)
    /// says otherwise), their sum is minimized, and there is one metric per output or none.
    ///
    /// # Errors
    /// A setting of the optimizer that is out of range, or a name that is not known.
    pub fn compile(
        &mut self,
        optimizer: impl IntoOptimizer,
        loss: impl Into<LossFunction>,
        metrics: impl IntoMetrics,
    ) -> Result<&mut Self> {
        let objective = Objective::new(loss.into())?;
        let (optimizer, metrics) = (optimizer.into_optimizer()?, metrics.into_metrics()?);
        self.training = Some(Training::new(optimizer, objective, metrics.into()));
        Ok(self)
    }

    /// A loss of its own for each output, in the order of the outputs; their sum is minimized, and
    /// histories have `NAME_loss` of each besides `loss`.
    ///
    /// # Errors
    /// If the model is not compiled, or a name is not known; `fit` says if their number is not that of
    /// the outputs.
    pub fn losses<L: Into<LossFunction>>(
        &mut self,
        losses: impl IntoIterator<Item = L>,
    ) -> Result<&mut Self> {
        let losses = losses.into_iter().map(Into::into).collect();
        self.training_mut()?.objective = Objective::of_outputs(losses)?;
        Ok(self)
    }

    /// How much the loss of each output counts in the sum (Keras' `loss_weights`); all 1 unless told
    /// otherwise. Call it after [`losses`](Self::losses).
    ///
    /// # Errors
    /// If the model is not compiled, or a weight is not finite.
    pub fn loss_weights(&mut self, weights: impl IntoIterator<Item = f32>) -> Result<&mut Self> {
        let weights = weights.into_iter().collect();
        self.training_mut()?.objective.set_weights(weights)?;
        Ok(self)
    }

    /// Metrics that are weighted by class and sample weights, besides those given to
    /// [`compile`](Self::compile), which are not (as in Keras).
    ///
    /// # Errors
    /// If the model is not compiled, or a name is not known.
    pub fn weighted_metrics(&mut self, metrics: impl IntoMetrics) -> Result<&mut Self> {
        let metrics = metrics.into_metrics()?;
        self.training_mut()?.weighted_metrics = metrics.into();
        Ok(self)
    }

    /// Trains with this optimizer from now on, and with the loss and the metrics as they are.
    ///
    /// # Errors
    /// If the model is not compiled, or a setting of the optimizer is out of range.
    pub fn set_optimizer(&mut self, optimizer: impl IntoOptimizer) -> Result<&mut Self> {
        let optimizer = optimizer.into_optimizer()?;
        let training = self.training_mut()?;
        training.optimizer = optimizer;
        training.unknown_optimizer = None;
        training.loss_scaling = None;
        Ok(self)
    }

    /// The optimizer, with its memory and its number of steps so far; `None` before `compile`, and if
    /// the model was opened from a file whose optimizer is not known.
    pub fn optimizer(&self) -> Option<&Optimizer> {
        let training = self.training.as_ref();
        let known = training.filter(|training| training.unknown_optimizer.is_none());
        known.map(|training| &training.optimizer)
    }

    /// The optimizer, to be changed (its learning rate, say).
    pub fn optimizer_mut(&mut self) -> Option<&mut Optimizer> {
        let training = self.training.as_mut();
        let known = training.filter(|training| training.unknown_optimizer.is_none());
        known.map(|training| &mut training.optimizer)
    }

    /// What `compile` gave, to be changed.
    pub(crate) fn training_mut(&mut self) -> Result<&mut Training> {
        let training = self.training.as_mut().ok_or_else(not_compiled)?;
        training.number = next_number();
        Ok(training)
    }
}

fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

pub(crate) fn not_compiled() -> Error {
    Error::Model(
        Detail::new(
            "training",
            "a compiled model",
            "one without optimizer and loss",
        )
        .help("call `compile(optimizer, loss, metrics)` first"),
    )
}
