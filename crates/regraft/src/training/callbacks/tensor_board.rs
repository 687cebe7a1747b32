//! The history as event files, which TensorBoard shows while training goes on.

use std::path::PathBuf;
use std::time::Instant;

use regraft_io::EventFile;

use super::{Callback, CallbackState, Context};
use crate::{History, Result};

/// When [`TensorBoard`] is told of losses and metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpdateFrequency {
    /// After each epoch.
    #[default]
    Epoch,
    /// After each epoch, and after each so many steps, counted on from epoch to epoch.
    Batches(usize),
}

/// Writes what [TensorBoard](https://www.tensorflow.org/tensorboard) shows: `tensorboard --logdir logs`.
///
/// | in | series | step |
/// |---|---|---|
/// | `train/` | `epoch_loss`, `epoch_accuracy` and so on, `epoch_learning_rate` | epoch, from 0 |
/// | `train/` | `epoch_steps_per_second`, if asked for | epoch |
/// | `train/` | `batch_loss`, `batch_accuracy`, with [`update_freq`](Self::update_freq): of the epoch so far | step of training, from 1 |
/// | `train/` | `dense/kernel/histogram` of every weight, with [`histogram_freq`](Self::histogram_freq) | epoch |
/// | `validation/` | `epoch_loss`, `epoch_accuracy` and so on | epoch |
/// | `validation/` | `evaluation_loss_vs_iterations` and so on | steps of the optimizer |
///
/// Each `fit` has files of its own in these folders, which TensorBoard shows as one run; a
/// [resumed](super::BackupAndRestore) one goes on in those that were there, at the end of the epoch from which it
/// goes on. What is written is in the file at once. Defaults: the folder `logs`, after each epoch, no histograms.
///
/// Of Keras' settings there are those above; it writes no graph, no images of weights, no embeddings and no
/// profile. Source: [Keras](https://keras.io/api/callbacks/tensorboard/).
///
/// ```
/// use regraft::callbacks::{TensorBoard, UpdateFrequency};
///
/// let board = TensorBoard::new("runs/first")
///     .update_freq(UpdateFrequency::Batches(10))
///     .histogram_freq(1);
/// let options = regraft::Fit::new().epochs(20).callback(board);
/// # drop(options);
/// ```
#[derive(Debug)]
pub struct TensorBoard {
    log_dir: PathBuf,
    histogram_freq: usize,
    write_steps_per_second: bool,
    update_freq: UpdateFrequency,
    train: Option<EventFile>,
    validation: Option<EventFile>,
    /// The steps of this `fit`.
    batches: usize,
    epoch_began: Option<(Instant, usize)>,
}

impl Default for TensorBoard {
    fn default() -> Self {
        TensorBoard::new("logs")
    }
}

impl TensorBoard {
    /// Writes to the folders `train` and `validation` in `log_dir`, which are made.
    pub fn new(log_dir: impl Into<PathBuf>) -> Self {
        TensorBoard {
            log_dir: log_dir.into(),
            histogram_freq: 0,
            write_steps_per_second: false,
            update_freq: UpdateFrequency::Epoch,
            train: None,
            validation: None,
            batches: 0,
            epoch_began: None,
        }
    }

    /// After how many epochs there are histograms of all weights, frozen ones too; 0 for never.
    #[must_use]
    pub fn histogram_freq(mut self, epochs: usize) -> Self {
        self.histogram_freq = epochs;
        self
    }

    /// Whether the steps of a second are written too.
    #[must_use]
    pub fn write_steps_per_second(mut self, write: bool) -> Self {
        self.write_steps_per_second = write;
        self
    }

    /// When losses and metrics are written.
    #[must_use]
    pub fn update_freq(mut self, frequency: UpdateFrequency) -> Self {
        self.update_freq = frequency;
        self
    }

    /// The file of this `fit`, made when something is to be written.
    fn file(&mut self, validation: bool) -> Result<&mut EventFile> {
        let (file, folder) = match validation {
            true => (&mut self.validation, "validation"),
            false => (&mut self.train, "train"),
        };
        Ok(match file {
            Some(file) => file,
            None => file.insert(EventFile::create(self.log_dir.join(folder))?),
        })
    }

    fn write_epoch(
        &mut self,
        epoch: usize,
        context: &Context<'_>,
        history: &History,
    ) -> Result<()> {
        let optimizer = context.optimizer()?;
        let (iterations, rate) = (optimizer.iterations(), optimizer.learning_rate());
        let quantities = context.quantities();
        let value = |name: &str| {
            let (at, value) = history.points(name).last()?;
            (at == epoch).then_some(value as f32)
        };
        for name in &quantities {
            let Some(value) = value(name) else {
                continue;
            };
            let of = name.strip_prefix("val_");
            let tag = format!("epoch_{}", of.unwrap_or(name));
            self.file(of.is_some())?.scalar(&tag, epoch as u64, value)?;
            if let Some(of) = of {
                let tag = format!("evaluation_{of}_vs_iterations");
                self.file(true)?.scalar(&tag, iterations, value)?;
            }
        }
        let train = self.file(false)?;
        train.scalar("epoch_learning_rate", epoch as u64, rate)?;
        if let (true, Some((began, batches))) = (self.write_steps_per_second, self.epoch_began) {
            let steps = (self.batches - batches) as f64 / began.elapsed().as_secs_f64();
            let train = self.file(false)?;
            train.scalar("epoch_steps_per_second", epoch as u64, steps as f32)?;
        }
        Ok(())
    }
}

impl Callback for TensorBoard {
    fn on_train_begin(&mut self, _context: &mut Context<'_>, _history: &mut History) -> Result<()> {
        (self.train, self.validation) = (None, None);
        self.batches = 0;
        Ok(())
    }

    fn on_epoch_begin(&mut self, _epoch: usize, _context: &mut Context<'_>) -> Result<()> {
        self.epoch_began = Some((Instant::now(), self.batches));
        Ok(())
    }

    fn wants_batches(&self) -> bool {
        self.update_freq != UpdateFrequency::Epoch
    }

    fn on_batch_end(
        &mut self,
        _epoch: usize,
        _step: usize,
        context: &mut Context<'_>,
    ) -> Result<()> {
        self.batches += 1;
        let UpdateFrequency::Batches(frequency) = self.update_freq else {
            return Ok(());
        };
        if !self.batches.is_multiple_of(frequency.max(1)) {
            return Ok(());
        }
        let step = self.batches as u64;
        let loss = context.loss as f32;
        let metrics = context.metrics();
        let train = self.file(false)?;
        train.scalar("batch_loss", step, loss)?;
        for (name, value) in metrics {
            train.scalar(&format!("batch_{name}"), step, value as f32)?;
        }
        Ok(())
    }

    fn on_epoch_end(
        &mut self,
        epoch: usize,
        context: &mut Context<'_>,
        history: &History,
    ) -> Result<()> {
        if !self.wants_batches() {
            self.batches += context.steps_per_epoch;
        }
        self.write_epoch(epoch, context, history)?;
        if self.histogram_freq > 0 && epoch.is_multiple_of(self.histogram_freq) {
            let train = self.file(false)?;
            for weight in context.model.weights().iter() {
                let tag = format!("{}/histogram", weight.path());
                train.histogram(&tag, epoch as u64, weight.value().as_slice())?;
            }
        }
        Ok(())
    }

    fn on_train_end(&mut self, _context: &mut Context<'_>, _history: &mut History) -> Result<()> {
        (self.train, self.validation) = (None, None);
        Ok(())
    }

    fn state(&self) -> Option<CallbackState> {
        let mut state = CallbackState::new().value("batches", self.batches);
        for (name, file) in [("train", &self.train), ("validation", &self.validation)] {
            if let Some(file) = file {
                let path = file.path().to_str()?;
                let length = format!("{name}_length");
                state = state.value(name, path).value(&length, file.len());
            }
        }
        Some(state)
    }

    /// Goes on at the end of what was written before the backup.
    fn restore(&mut self, state: &CallbackState, _context: &mut Context<'_>) -> Result<()> {
        self.batches = state.count("batches")?;
        for (name, file) in [
            ("train", &mut self.train),
            ("validation", &mut self.validation),
        ] {
            let path = state.get_value(name).and_then(|path| path.as_str());
            if let Some(path) = path {
                let length = state.count(&format!("{name}_length"))? as u64;
                *file = Some(EventFile::resume(path, length)?);
            }
        }
        Ok(())
    }
}
