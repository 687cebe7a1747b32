//! Saving the model while it is trained.

use std::path::{Path, PathBuf};

use regraft_tensor::Detail;
use serde_json::{Value, json};

use super::monitor::{Monitor, monitored};
use super::path_template::{Number, fill};
use super::{Callback, CallbackState, Context};
use crate::files::save::{ModelFile, WeightsFile};
use crate::{Error, History, Result};

/// When a model is saved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SaveFrequency {
    /// After each epoch.
    #[default]
    Epoch,
    /// After each so many steps, counted on from epoch to epoch.
    Batches(usize),
}

/// Saves the model, or its weights alone, during training: after each epoch, or only after those
/// that are better than all before.
///
/// The path may have placeholders: `{epoch}` and `{batch}` (counted from 1) and every quantity of
/// the history, formatted as in Python (`{epoch:02}`, `{val_loss:.2f}`). Folders are made. A file is
/// replaced when all of the new one is written, so that an interruption leaves one of the two.
///
/// What is best is best of all fits that it is used for, so that a later fit never replaces a better
/// file; a new checkpoint knows nothing of earlier ones unless it is given a threshold.
///
/// Between epochs every quantity is known; between batches only `loss`, the mean of the epoch so
/// far. Defaults: monitor `val_loss`, everything saved after each epoch. Source:
/// [Keras](https://keras.io/api/callbacks/model_checkpoint/).
///
/// ```
/// use regraft::callbacks::{Mode, ModelCheckpoint};
///
/// let best = ModelCheckpoint::new("best.weights.h5")
///     .save_weights_only(true)
///     .save_best_only(true)
///     .monitor("val_accuracy")
///     .mode(Mode::Max);
/// let options = regraft::Fit::new().epochs(20).callback(best);
/// # drop(options);
/// ```
#[derive(Clone, Debug)]
pub struct ModelCheckpoint {
    /// The best value of the monitored quantity, with [`save_best_only`](Self::save_best_only).
    pub best: Option<f64>,
    /// The file that was saved last.
    pub last_path: Option<PathBuf>,
    template: String,
    monitor: Monitor,
    save_best_only: bool,
    save_weights_only: bool,
    save_freq: SaveFrequency,
    batches: usize,
}

monitored!(ModelCheckpoint);

impl ModelCheckpoint {
    /// Saves to `path`: for whole models `.keras` or `.h5`, for weights alone `.weights.h5`, `.h5`
    /// or `.safetensors`.
    pub fn new(path: impl AsRef<Path>) -> Self {
        ModelCheckpoint {
            best: None,
            last_path: None,
            template: path.as_ref().to_string_lossy().into_owned(),
            monitor: Monitor::new(0.0),
            save_best_only: false,
            save_weights_only: false,
            save_freq: SaveFrequency::Epoch,
            batches: 0,
        }
    }

    /// Whether only epochs that are better than all before are saved.
    #[must_use]
    pub fn save_best_only(mut self, only: bool) -> Self {
        self.save_best_only = only;
        self
    }

    /// Whether weights (and the optimizer's memory) are saved without the architecture.
    #[must_use]
    pub fn save_weights_only(mut self, only: bool) -> Self {
        self.save_weights_only = only;
        self
    }

    /// When the model is saved.
    #[must_use]
    pub fn save_freq(mut self, frequency: SaveFrequency) -> Self {
        self.save_freq = frequency;
        self
    }

    /// With [`save_best_only`](Self::save_best_only): what the first epoch has to surpass.
    #[must_use]
    pub fn initial_value_threshold(mut self, value: f64) -> Self {
        self.best = Some(value);
        self
    }

    fn improves(&mut self, value: f64) -> bool {
        let better = self.monitor.improves(value, self.best);
        if better {
            self.best = Some(value);
        }
        better
    }

    fn save(
        &mut self,
        context: &Context<'_>,
        number: impl Fn(&str) -> Option<Number>,
    ) -> Result<()> {
        let path = PathBuf::from(fill(&self.template, number)?);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| {
                let at = folder.display().to_string();
                Error::File(Detail::new(at, "a folder that can be made", error))
            })?;
        }
        match self.save_weights_only {
            true => context.model.save_weights(&path)?,
            false => context.model.save(&path)?,
        }
        self.last_path = Some(path);
        Ok(())
    }

    /// Refuses what could only fail after an epoch.
    fn check(&self, context: &Context<'_>) -> Result<()> {
        match self.save_weights_only {
            true => WeightsFile::of(&self.template).map(|_| ())?,
            false => ModelFile::of(&self.template).map(|_| ())?,
        }
        let between_batches = match self.save_freq {
            SaveFrequency::Batches(0) => {
                let detail = Detail::new("ModelCheckpoint.save_freq", "at least 1 batch", 0);
                return Err(Error::Setting(detail));
            }
            SaveFrequency::Batches(_) => true,
            SaveFrequency::Epoch => false,
        };
        if between_batches && self.save_best_only && self.monitor.name != "loss" {
            let expected = "\"loss\", the only quantity that is known between batches";
            let received = format!("{:?}", self.monitor.name);
            let detail = Detail::new("ModelCheckpoint.monitor", expected, received);
            return Err(Error::Setting(
                detail.help("monitor the loss, or save after epochs"),
            ));
        }
        let known = context.quantities();
        fill(&self.template, |name| match name {
            "epoch" => Some(Number::Whole(1)),
            "batch" if between_batches => Some(Number::Whole(1)),
            "loss" => Some(Number::Real(0.0)),
            _ if between_batches => None,
            _ => known
                .iter()
                .any(|it| it == name)
                .then_some(Number::Real(0.0)),
        })?;
        Ok(())
    }
}

impl Callback for ModelCheckpoint {
    /// # Errors
    /// An ending, a placeholder or a quantity to monitor that is not known.
    fn on_train_begin(&mut self, context: &mut Context<'_>, _history: &mut History) -> Result<()> {
        self.check(context)?;
        if self.save_best_only {
            self.monitor.begin("ModelCheckpoint", context)?;
        }
        Ok(())
    }

    fn state(&self) -> Option<CallbackState> {
        let path = self.last_path.as_ref();
        let state = CallbackState::new()
            .number("best", self.best)
            .value("last_path", json!(path.map(|path| path.to_string_lossy())))
            .value("batches", self.batches);
        Some(state)
    }

    fn restore(&mut self, state: &CallbackState, _context: &mut Context<'_>) -> Result<()> {
        self.batches = state.count("batches")?;
        self.best = state.get_number("best");
        let path = state.get_value("last_path").and_then(Value::as_str);
        self.last_path = path.map(PathBuf::from);
        Ok(())
    }

    fn wants_batches(&self) -> bool {
        matches!(self.save_freq, SaveFrequency::Batches(_))
    }

    fn on_batch_end(&mut self, epoch: usize, step: usize, context: &mut Context<'_>) -> Result<()> {
        self.batches += 1;
        match self.save_freq {
            SaveFrequency::Batches(every) if self.batches >= every => self.batches = 0,
            _ => return Ok(()),
        }
        let loss = context.loss;
        if self.save_best_only && !self.improves(loss) {
            return Ok(());
        }
        self.save(context, |name| match name {
            "epoch" => Some(Number::Whole(epoch + 1)),
            "batch" => Some(Number::Whole(step + 1)),
            "loss" => Some(Number::Real(loss)),
            _ => None,
        })
    }

    fn on_epoch_end(
        &mut self,
        epoch: usize,
        context: &mut Context<'_>,
        history: &History,
    ) -> Result<()> {
        if self.save_freq != SaveFrequency::Epoch {
            return Ok(());
        }
        if self.save_best_only {
            let value = self.monitor.value(epoch, history);
            if !value.is_some_and(|value| self.improves(value)) {
                return Ok(());
            }
        }
        self.save(context, |name| match name {
            "epoch" => Some(Number::Whole(epoch + 1)),
            _ => history.last(name).map(Number::Real),
        })
    }
}
