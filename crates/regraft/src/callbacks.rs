//! What is told what happens during training, and may stop it: the contract of callbacks, and those
//! that Keras has.

use std::fmt::Debug;

use regraft_layers::Model;
use regraft_optimizers::Optimizer;

use crate::fit::Fit;
use crate::{History, Result};

/// Something that is told what happens during `fit`.
///
/// ```
/// use regraft::{Callback, Context, History, Result};
///
/// /// Stops when the loss is small enough.
/// #[derive(Debug)]
/// struct GoodEnough(f64);
///
/// impl Callback for GoodEnough {
///     fn on_epoch_end(
///         &mut self,
///         _epoch: usize,
///         context: &mut Context<'_>,
///         history: &History,
///     ) -> Result<()> {
///         if history.last("loss").is_some_and(|loss| loss < self.0) {
///             context.stop();
///         }
///         Ok(())
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a callback",
    note = "implement `regraft::Callback`; every method has a default that does nothing"
)]
pub trait Callback: Debug {
    /// Before the first epoch. May put training back to where it was interrupted
    /// ([`Context::resume_at`]).
    ///
    /// # Errors
    /// Whatever ends training.
    fn on_train_begin(&mut self, _context: &mut Context<'_>, _history: &mut History) -> Result<()> {
        Ok(())
    }

    /// Before each epoch. Layers may be frozen or unfrozen here; training follows.
    ///
    /// # Errors
    /// Whatever ends training.
    fn on_epoch_begin(&mut self, _epoch: usize, _context: &mut Context<'_>) -> Result<()> {
        Ok(())
    }

    /// After each epoch, validation included; `history` has its numbers.
    ///
    /// # Errors
    /// Whatever ends training.
    fn on_epoch_end(
        &mut self,
        _epoch: usize,
        _context: &mut Context<'_>,
        _history: &History,
    ) -> Result<()> {
        Ok(())
    }

    /// Whether [`on_batch_end`](Self::on_batch_end) is to be called, which costs time at each step.
    fn wants_batches(&self) -> bool {
        false
    }

    /// After each step, if [`wants_batches`](Self::wants_batches).
    ///
    /// # Errors
    /// Whatever ends training.
    fn on_batch_end(
        &mut self,
        _epoch: usize,
        _step: usize,
        _context: &mut Context<'_>,
    ) -> Result<()> {
        Ok(())
    }

    /// After the last epoch.
    ///
    /// # Errors
    /// Whatever `fit` shall return.
    fn on_train_end(&mut self, _context: &mut Context<'_>, _history: &mut History) -> Result<()> {
        Ok(())
    }
}

impl<C: Callback + ?Sized> Callback for &mut C {
    fn on_train_begin(&mut self, context: &mut Context<'_>, history: &mut History) -> Result<()> {
        (**self).on_train_begin(context, history)
    }

    fn on_epoch_begin(&mut self, epoch: usize, context: &mut Context<'_>) -> Result<()> {
        (**self).on_epoch_begin(epoch, context)
    }

    fn on_epoch_end(
        &mut self,
        epoch: usize,
        context: &mut Context<'_>,
        history: &History,
    ) -> Result<()> {
        (**self).on_epoch_end(epoch, context, history)
    }

    fn wants_batches(&self) -> bool {
        (**self).wants_batches()
    }

    fn on_batch_end(&mut self, epoch: usize, step: usize, context: &mut Context<'_>) -> Result<()> {
        (**self).on_batch_end(epoch, step, context)
    }

    fn on_train_end(&mut self, context: &mut Context<'_>, history: &mut History) -> Result<()> {
        (**self).on_train_end(context, history)
    }
}

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
    next_epoch: usize,
    stop: bool,
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        model: &'a mut Model,
        optimizer: &'a mut Optimizer,
        options: &Fit<'_>,
        steps_per_epoch: usize,
    ) -> Self {
        Context {
            model,
            optimizer,
            loss: 0.0,
            epochs: options.epochs,
            steps_per_epoch,
            seed: options.seed,
            next_epoch: options.initial_epoch,
            stop: false,
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

    pub(crate) fn next_epoch(&self) -> usize {
        self.next_epoch
    }

    pub(crate) fn stops(&self) -> bool {
        self.stop
    }
}

/// What callbacks are told of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Moment {
    TrainBegin,
    EpochBegin(usize),
    BatchEnd(usize, usize),
    EpochEnd(usize),
    TrainEnd,
}

/// The callbacks of one `fit`.
#[derive(Debug)]
pub(crate) struct Callbacks<'a> {
    list: Vec<Box<dyn Callback + 'a>>,
    wants_batches: bool,
}

impl<'a> Callbacks<'a> {
    pub fn new(list: Vec<Box<dyn Callback + 'a>>) -> Self {
        Callbacks {
            wants_batches: list.iter().any(|callback| callback.wants_batches()),
            list,
        }
    }

    pub fn wants_batches(&self) -> bool {
        self.wants_batches
    }

    /// Tells all callbacks in order.
    pub fn tell(
        &mut self,
        moment: Moment,
        context: &mut Context<'_>,
        history: &mut History,
    ) -> Result<()> {
        for callback in &mut self.list {
            match moment {
                Moment::TrainBegin => callback.on_train_begin(context, history)?,
                Moment::EpochBegin(epoch) => callback.on_epoch_begin(epoch, context)?,
                Moment::BatchEnd(epoch, step) if callback.wants_batches() => {
                    callback.on_batch_end(epoch, step, context)?;
                }
                Moment::BatchEnd(..) => {}
                Moment::EpochEnd(epoch) => callback.on_epoch_end(epoch, context, history)?,
                Moment::TrainEnd => callback.on_train_end(context, history)?,
            }
        }
        Ok(())
    }
}
