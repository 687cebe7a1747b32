//! Saying how a model is trained: `compile`, and what changes parts of it.

use regraft_layers::losses::LossFunction;
use regraft_layers::near;
use regraft_optimizers::{IntoOptimizer, Optimizer};
use regraft_tensor::Detail;

use crate::metrics::IntoMetrics;
use crate::training::compiled::{Training, not_compiled};
use crate::training::number::next_number;
use crate::training::objective::Objective;
use crate::{Error, Model, Result};

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
        let losses = losses.into_iter().map(|loss| Some(loss.into())).collect();
        self.training_mut()?.objective = Objective::of_outputs(losses)?;
        Ok(self)
    }

    /// Takes the loss of an output away (Keras' `None` in the place of a loss): it is predicted and measured,
    /// and not trained for. Targets are given for it all the same; they may be of any shape.
    ///
    /// # Errors
    /// If the model is not compiled, or has no output of this name; `fit` says if no loss is left.
    pub fn without_loss(&mut self, output: &str) -> Result<&mut Self> {
        let names = self.network.output_names();
        let Some(index) = names.iter().position(|name| name == output) else {
            let detail = Detail::new(
                "loss",
                format!("an output of {names:?}"),
                format!("{output:?}"),
            );
            let help = near(output, names.iter().map(String::as_str));
            return Err(Error::Setting(detail.help(help)));
        };
        self.training_mut()?.objective.remove(index, names.len());
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
