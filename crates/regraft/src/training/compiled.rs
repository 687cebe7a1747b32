//! What a model is trained with: the optimizer, the loss and the metrics.

use regraft_io::SavedOptimizer;
use regraft_layers::Model as Network;
use regraft_optimizers::Optimizer;
use regraft_tensor::Detail;
use serde_json::{Map, Value, json};

use crate::files::loss_scaling::LossScaling;
use crate::training::compiled_metrics::CompiledMetrics;
use crate::training::number::next_number;
use crate::training::objective::Objective;
use crate::{Error, Result};

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
    /// Whether the model is of Keras 2, which tells the loss of an output also where no other has one.
    pub is_of_keras2: bool,
    /// How Keras runs the steps (`run_eagerly`, `steps_per_execution`, `jit_compile`): nothing here, but
    /// Keras' own again in files.
    pub execution: Map<String, Value>,
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
            is_of_keras2: false,
            execution: Map::from_iter([
                ("run_eagerly".to_string(), false.into()),
                ("steps_per_execution".to_string(), 1.into()),
                ("jit_compile".to_string(), false.into()),
            ]),
        }
    }

    /// Keeps what a file says of how Keras runs the steps.
    pub fn keep_execution(&mut self, config: &Value) {
        for (key, value) in &mut self.execution {
            if let Some(given) = config.get(key) {
                value.clone_from(given);
            }
        }
    }

    /// The outputs whose losses are told apart: those that have one, if there are several.
    pub fn part_names(&self) -> Vec<&str> {
        let outputs = self.output_names.iter().map(String::as_str);
        let trained_for = self.objective.trained_for(self.output_names.len());
        let names = outputs.zip(trained_for).filter(|(_, trained)| *trained);
        let names: Vec<&str> = names.map(|(name, _)| name).collect();
        match names.len() {
            1 if !self.is_of_keras2 => Vec::new(),
            _ => names,
        }
    }

    /// Checks that losses and metrics go with the outputs of `model`.
    pub fn fit_to(&mut self, model: &Network) -> Result<()> {
        self.objective.losses(model)?;
        self.output_names = match model.output_names() {
            names if names.len() > 1 => names,
            _ => Vec::new(),
        };
        self.is_of_keras2 = model.is_of_keras2();
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
    /// output; otherwise the loss of each output that has one, and each metric with its output's name in front. Where
    /// names would be the same, the later ones get a number, and weighted metrics the word in front, as in
    /// Keras.
    pub fn value_names(&self) -> Vec<String> {
        let outputs = &self.output_names;
        let all = [&self.metrics, &self.weighted_metrics];
        let parts = self.part_names().into_iter();
        let mut names: Vec<String> = parts.map(|name| format!("{name}_loss")).collect();
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
        let mut config = json!({
            "optimizer": self.optimizer_config(false),
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": self.metrics.config(outputs, false),
            "weighted_metrics": self.weighted_metrics.config(outputs, false),
        });
        for (key, value) in &self.execution {
            config[key] = value.clone();
        }
        config
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
