//! A model that can be trained: the layers and, once compiled, the optimizer, the loss and the
//! metrics.

use std::fmt::Debug;
use std::ops::{Deref, DerefMut};

use regraft_layers::LayerSpec;
use regraft_layers::losses::LossFunction;
use regraft_optimizers::{IntoOptimizer, Optimizer};
use regraft_tensor::Detail;
use serde_json::{Value, json};

use crate::metrics::{IntoMetrics, Metric};
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
    pub loss: LossFunction,
    pub metrics: Vec<Box<dyn Metric>>,
    pub weighted_metrics: Vec<Box<dyn Metric>>,
}

impl Training {
    /// What is saved of it.
    pub fn compiled(&self) -> Compiled<'_> {
        Compiled {
            optimizer: &self.optimizer,
            loss: &self.loss,
            metrics: &self.metrics,
            weighted_metrics: &self.weighted_metrics,
        }
    }
}

/// What `compile` gave, to be looked at: its parts may be borrowed from different places.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Compiled<'a> {
    pub optimizer: &'a Optimizer,
    pub loss: &'a LossFunction,
    pub metrics: &'a [Box<dyn Metric>],
    pub weighted_metrics: &'a [Box<dyn Metric>],
}

impl Compiled<'_> {
    /// How Keras stores what `compile` was given.
    pub fn config(&self) -> Value {
        let names = |metrics: &[Box<dyn Metric>]| -> Vec<String> {
            metrics
                .iter()
                .map(|metric| metric.name().to_string())
                .collect()
        };
        json!({
            "optimizer": self.optimizer.config(),
            "loss": self.loss.serialize(),
            "loss_weights": null,
            "metrics": names(self.metrics),
            "weighted_metrics": names(self.weighted_metrics),
            "run_eagerly": false,
            "steps_per_execution": 1,
            "jit_compile": false,
        })
    }

    /// How Keras stores it in a legacy `.h5` model.
    pub fn legacy_config(&self) -> Value {
        let config = self.config();
        let optimizer = &config["optimizer"];
        json!({
            "loss": config["loss"],
            "metrics": config["metrics"],
            "weighted_metrics": config["weighted_metrics"],
            "loss_weights": null,
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
    /// # Errors
    /// A setting of the optimizer that is out of range, or a name that is not known.
    pub fn compile(
        &mut self,
        optimizer: impl IntoOptimizer,
        loss: impl Into<LossFunction>,
        metrics: impl IntoMetrics,
    ) -> Result<&mut Self> {
        let loss = loss.into();
        loss.get()
            .map_err(|detail| Error::Setting(detail.within("loss")))?;
        self.training = Some(Training {
            optimizer: optimizer.into_optimizer()?,
            loss,
            metrics: metrics.into_metrics()?,
            weighted_metrics: Vec::new(),
        });
        Ok(self)
    }

    /// Metrics that are weighted by class and sample weights, besides those given to
    /// [`compile`](Self::compile), which are not (as in Keras).
    ///
    /// # Errors
    /// If the model is not compiled, or a name is not known.
    pub fn weighted_metrics(&mut self, metrics: impl IntoMetrics) -> Result<&mut Self> {
        let metrics = metrics.into_metrics()?;
        self.training_mut()?.weighted_metrics = metrics;
        Ok(self)
    }

    /// The optimizer, with its memory and its number of steps so far; `None` before `compile`.
    pub fn optimizer(&self) -> Option<&Optimizer> {
        self.training.as_ref().map(|training| &training.optimizer)
    }

    /// The optimizer, to be changed (its learning rate, say).
    pub fn optimizer_mut(&mut self) -> Option<&mut Optimizer> {
        self.training
            .as_mut()
            .map(|training| &mut training.optimizer)
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
