//! What is told what happens during training, and may stop it: the contract of callbacks, and those
//! that Keras has.
//!
//! ```
//! use regraft::Fit;
//! use regraft::callbacks::{EarlyStopping, ModelCheckpoint};
//!
//! let mut stopping = EarlyStopping::new().patience(3).restore_best_weights(true);
//! let options = Fit::new()
//!     .epochs(50)
//!     .validation_split(0.2)
//!     .callback(ModelCheckpoint::new("runs/{epoch:02}-{val_loss:.2f}.keras").save_best_only(true))
//!     .callback(&mut stopping);
//! // After `fit`, `stopping.best` and `stopping.stopped_epoch` tell what happened.
//! # drop(options);
//! ```
//!
//! Callbacks are told in the order in which they were given. What one remembers it keeps from `fit` to
//! `fit` or begins anew, each as in Keras; and it is part of a [backup](BackupAndRestore), so that
//! training that was interrupted goes on as if it had not been.

mod backup_and_restore;
mod context;
mod csv_logger;
mod early_stopping;
mod lambda_callback;
mod learning_rate_scheduler;
mod model_checkpoint;
mod monitor;
mod path_template;
mod reduce_lr_on_plateau;
mod snapshot;
mod state;
mod stochastic_weight_averaging;
mod telling;
mod tensor_board;
mod terminate_on_nan;
#[cfg(test)]
mod tests;

use std::fmt::Debug;

pub use backup_and_restore::BackupAndRestore;
pub use context::Context;
pub(crate) use context::{RunOf, Seen};
pub use csv_logger::CSVLogger;
pub use early_stopping::EarlyStopping;
pub use lambda_callback::LambdaCallback;
pub use learning_rate_scheduler::LearningRateScheduler;
pub use model_checkpoint::{ModelCheckpoint, SaveFrequency};
pub use monitor::Mode;
pub use reduce_lr_on_plateau::ReduceLROnPlateau;
pub(crate) use snapshot::Snapshot;
pub use state::CallbackState;
pub use stochastic_weight_averaging::StochasticWeightAveraging;
pub(crate) use telling::{Callbacks, Moment};
pub use tensor_board::{TensorBoard, UpdateFrequency};
pub use terminate_on_nan::TerminateOnNaN;

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

    /// After each epoch, once every callback's [`on_epoch_end`](Self::on_epoch_end) has been called:
    /// what they have changed is seen.
    ///
    /// # Errors
    /// Whatever ends training.
    fn after_epoch(
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

    /// What it must know to go on after an interruption, asked for when an epoch has ended and all
    /// callbacks have been told. The default is nothing: a callback without memory.
    fn state(&self) -> Option<CallbackState> {
        None
    }

    /// Goes on from what [`state`](Self::state) gave, in training that was interrupted: called after
    /// every callback's [`on_train_begin`](Self::on_train_begin), before the first epoch. The context
    /// has the weights of the interruption.
    ///
    /// # Errors
    /// A state that is not this callback's.
    fn restore(&mut self, _state: &CallbackState, _context: &mut Context<'_>) -> Result<()> {
        Ok(())
    }

    /// What its state is kept under in a backup: the name of its type.
    fn name(&self) -> &str {
        let name = std::any::type_name::<Self>();
        let name = name.split('<').next().unwrap_or(name);
        name.rsplit("::").next().unwrap_or(name)
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

    fn after_epoch(
        &mut self,
        epoch: usize,
        context: &mut Context<'_>,
        history: &History,
    ) -> Result<()> {
        (**self).after_epoch(epoch, context, history)
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

    fn state(&self) -> Option<CallbackState> {
        (**self).state()
    }

    fn restore(&mut self, state: &CallbackState, context: &mut Context<'_>) -> Result<()> {
        (**self).restore(state, context)
    }

    fn name(&self) -> &str {
        (**self).name()
    }
}
