//! A model that can be trained: the layers and, once compiled, the optimizer, the loss and the
//! metrics.

use std::fmt::Debug;
use std::ops::{Deref, DerefMut};

use regraft_io::SavedOptimizer;
use regraft_layers::LayerSpec;
use regraft_layers::losses::LossFunction;
use regraft_optimizers::{IntoOptimizer, Optimizer};
use regraft_tensor::Detail;
use serde_json::{Value, json};

use crate::metrics::IntoMetrics;
use crate::training::compiled_metrics::CompiledMetrics;
use crate::training::objective::Objective;
use crate::{Error, Result};

/// A stack of layers that can be trained, loaded and saved; it dereferences to
/// [`regraft_layers::Sequential`], and that to [`regraft_layers::Model`].
pub type Sequential = Trainable<regraft_layers::Sequential>;

/// A model of any topology that can be trained, loaded and saved; it dereferences to
/// [`regraft_layers::Model`].
pub type Model = Trainable<regraft_layers::Model>;

/// A network (`N`) with what training needs.
///
/// There is nothing to recompile after layers have been frozen or unfrozen: what is trainable is
/// read at every `fit`, and the optimizer's memory belongs to the parameters.
#[derive(Debug)]
pub struct Trainable<N> {
    pub(crate) network: N,
    pub(crate) training: Option<Training>,
    pub(crate) class_names: Option<Vec<String>>,
}

/// What `compile` gave.
#[derive(Debug)]
pub(crate) struct Training {
    pub optimizer: Optimizer,
    pub objective: Objective,
    /// What the file says of an optimizer that is not known here. [`optimizer`](Self::optimizer) only
    /// stands in its place then, and trains nothing.
    pub unknown_optimizer: Option<Box<UnknownOptimizer>>,
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
            optimizer,
            objective,
            unknown_optimizer: None,
            metrics,
            weighted_metrics: CompiledMetrics::default(),
            output_names: Vec::new(),
        }
    }

    /// Checks that losses and metrics go with the outputs of `model`.
    pub fn fit_to(&mut self, model: &regraft_layers::Model) -> Result<()> {
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

    /// The names that histories have: the losses of the outputs if there are several, and the metrics.
    pub fn value_names(&self) -> Vec<String> {
        value_names(&self.output_names, [&self.metrics, &self.weighted_metrics])
    }

    /// What is saved of it.
    pub fn compiled(&self) -> Compiled<'_> {
        Compiled {
            optimizer: &self.optimizer,
            unknown_optimizer: self.unknown_optimizer.as_deref(),
            objective: &self.objective,
            metrics: &self.metrics,
            weighted_metrics: &self.weighted_metrics,
        }
    }
}

/// What `compile` gave, to be looked at: its parts may be borrowed from different places.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Compiled<'a> {
    pub optimizer: &'a Optimizer,
    pub unknown_optimizer: Option<&'a UnknownOptimizer>,
    pub objective: &'a Objective,
    pub metrics: &'a CompiledMetrics,
    pub weighted_metrics: &'a CompiledMetrics,
}

impl Compiled<'_> {
    /// How Keras stores what `compile` was given, of a model with so many outputs. Metrics that Keras
    /// does not have are left out, so that it opens the file.
    pub fn config(&self, outputs: usize) -> Value {
        let (loss, loss_weights) = self.objective.config();
        json!({
            "optimizer": match self.unknown_optimizer {
                None => self.optimizer.config(),
                Some(unknown) => unknown.config.clone(),
            },
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": self.metrics.config(outputs, false),
            "weighted_metrics": self.weighted_metrics.config(outputs, false),
            "run_eagerly": false,
            "steps_per_execution": 1,
            "jit_compile": false,
        })
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
        let optimizer = &config["optimizer"];
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

/// What the two kinds of network have in common.
pub trait Network: Debug {
    /// The model.
    fn model(&self) -> &regraft_layers::Model;

    /// The model, to be changed.
    fn model_mut(&mut self) -> &mut regraft_layers::Model;

    /// Makes the weights for samples of this shape, if that has not been done.
    ///
    /// # Errors
    /// A layer that refuses the shape.
    fn ensure_built(&mut self, sample: &[usize]) -> Result<()>;

    /// This kind of network, from a model that was read from a file.
    ///
    /// # Errors
    /// A model of another kind.
    fn from_model(model: regraft_layers::Model) -> Result<Self>
    where
        Self: Sized;
}

impl Network for regraft_layers::Sequential {
    fn model(&self) -> &regraft_layers::Model {
        self
    }

    fn model_mut(&mut self) -> &mut regraft_layers::Model {
        self
    }

    fn ensure_built(&mut self, sample: &[usize]) -> Result<()> {
        if !self.is_built() {
            self.build(sample)?;
        }
        Ok(())
    }

    fn from_model(model: regraft_layers::Model) -> Result<Self> {
        Ok(model.try_into()?)
    }
}

impl Network for regraft_layers::Model {
    fn model(&self) -> &regraft_layers::Model {
        self
    }

    fn model_mut(&mut self) -> &mut regraft_layers::Model {
        self
    }

    fn ensure_built(&mut self, _sample: &[usize]) -> Result<()> {
        Ok(())
    }

    fn from_model(model: regraft_layers::Model) -> Result<Self> {
        Ok(model)
    }
}

impl<N> From<N> for Trainable<N> {
    fn from(network: N) -> Self {
        Trainable {
            network,
            training: None,
            class_names: None,
        }
    }
}

impl<N> Deref for Trainable<N> {
    type Target = N;

    fn deref(&self) -> &N {
        &self.network
    }
}

impl<N> DerefMut for Trainable<N> {
    fn deref_mut(&mut self) -> &mut N {
        &mut self.network
    }
}

impl<N: Network> Trainable<N> {
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

    /// The names of the classes, in the order of the outputs, if they are known.
    pub fn class_names(&self) -> Option<&[String]> {
        self.class_names.as_deref()
    }

    /// Gives the classes names. They are saved with the model, and weights of a head that was
    /// trained for other classes are refused.
    pub fn set_class_names<S: Into<String>>(&mut self, names: impl IntoIterator<Item = S>) {
        self.class_names = Some(names.into_iter().map(Into::into).collect());
    }

    pub(crate) fn training_mut(&mut self) -> Result<&mut Training> {
        self.training.as_mut().ok_or_else(not_compiled)
    }
}

/// The names that histories have of these metrics, besides `loss`: as they are if there is one
/// output; otherwise the loss of each output, and each metric with its output's name in front. Where
/// names would be the same, the later ones get a number, and weighted metrics the word in front, as in
/// Keras.
pub(crate) fn value_names(outputs: &[String], metrics: [&CompiledMetrics; 2]) -> Vec<String> {
    let mut names: Vec<String> = outputs.iter().map(|name| format!("{name}_loss")).collect();
    let from = names.len();
    for (weighted, metrics) in [false, true].into_iter().zip(metrics) {
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

impl Trainable<regraft_layers::Sequential> {
    /// A stack of these layers: `Sequential::new(layers![Input::new([784]), Dense::new(10)])`.
    ///
    /// # Errors
    /// A layer that refuses its input, or a name that is there twice.
    pub fn new(layers: Vec<LayerSpec>) -> Result<Self> {
        Ok(regraft_layers::Sequential::new(layers)?.into())
    }

    /// As [`new`](Self::new), with first weights drawn from `seed`.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_seed(layers: Vec<LayerSpec>, seed: u64) -> Result<Self> {
        Ok(regraft_layers::Sequential::with_seed(layers, seed)?.into())
    }
}
