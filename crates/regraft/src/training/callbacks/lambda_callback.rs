//! A callback made of functions.

use std::fmt;

use super::{Callback, CallbackState, Context};
use crate::{History, Result};

type OnTrain<'a> = Box<dyn FnMut(&mut Context<'_>, &mut History) -> Result<()> + 'a>;
type OnEpochBegin<'a> = Box<dyn FnMut(usize, &mut Context<'_>) -> Result<()> + 'a>;
type OnEpochEnd<'a> = Box<dyn FnMut(usize, &mut Context<'_>, &History) -> Result<()> + 'a>;
type State<'a> = Box<dyn Fn() -> CallbackState + 'a>;
type Restore<'a> = Box<dyn FnMut(&CallbackState) -> Result<()> + 'a>;
type OnBatchEnd<'a> = Box<dyn FnMut(usize, usize, &mut Context<'_>) -> Result<()> + 'a>;

/// A callback made of functions, for what is too small for a type of its own.
///
/// Source: [Keras](https://keras.io/api/callbacks/lambda_callback/).
///
/// ```
/// use regraft::callbacks::LambdaCallback;
///
/// // Trains the last two layers from the third epoch on.
/// let unfreeze = LambdaCallback::new().on_epoch_begin(|epoch, context| {
///     if epoch == 2 {
///         context.model.unfreeze(-2..)?;
///     }
///     Ok(())
/// });
/// let options = regraft::Fit::new().epochs(5).callback(unfreeze);
/// # drop(options);
/// ```
#[derive(Default)]
pub struct LambdaCallback<'a> {
    train_begin: Option<OnTrain<'a>>,
    epoch_begin: Option<OnEpochBegin<'a>>,
    epoch_end: Option<OnEpochEnd<'a>>,
    batch_end: Option<OnBatchEnd<'a>>,
    train_end: Option<OnTrain<'a>>,
    state: Option<(State<'a>, Restore<'a>)>,
}

impl<'a> LambdaCallback<'a> {
    /// Without functions.
    pub fn new() -> Self {
        Self::default()
    }

    /// Called before the first epoch.
    #[must_use]
    pub fn on_train_begin(
        mut self,
        function: impl FnMut(&mut Context<'_>, &mut History) -> Result<()> + 'a,
    ) -> Self {
        self.train_begin = Some(Box::new(function));
        self
    }

    /// Called before each epoch.
    #[must_use]
    pub fn on_epoch_begin(
        mut self,
        function: impl FnMut(usize, &mut Context<'_>) -> Result<()> + 'a,
    ) -> Self {
        self.epoch_begin = Some(Box::new(function));
        self
    }

    /// Called after each epoch.
    #[must_use]
    pub fn on_epoch_end(
        mut self,
        function: impl FnMut(usize, &mut Context<'_>, &History) -> Result<()> + 'a,
    ) -> Self {
        self.epoch_end = Some(Box::new(function));
        self
    }

    /// Called after each step with epoch and step.
    #[must_use]
    pub fn on_batch_end(
        mut self,
        function: impl FnMut(usize, usize, &mut Context<'_>) -> Result<()> + 'a,
    ) -> Self {
        self.batch_end = Some(Box::new(function));
        self
    }

    /// Called after the last epoch.
    #[must_use]
    pub fn on_train_end(
        mut self,
        function: impl FnMut(&mut Context<'_>, &mut History) -> Result<()> + 'a,
    ) -> Self {
        self.train_end = Some(Box::new(function));
        self
    }

    /// What the functions remember, and how they go on from it, so that it is part of a
    /// [backup](super::BackupAndRestore).
    #[must_use]
    pub fn state(
        mut self,
        state: impl Fn() -> CallbackState + 'a,
        restore: impl FnMut(&CallbackState) -> Result<()> + 'a,
    ) -> Self {
        self.state = Some((Box::new(state), Box::new(restore)));
        self
    }
}

impl fmt::Debug for LambdaCallback<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LambdaCallback").finish_non_exhaustive()
    }
}

impl Callback for LambdaCallback<'_> {
    fn on_train_begin(&mut self, context: &mut Context<'_>, history: &mut History) -> Result<()> {
        match &mut self.train_begin {
            Some(function) => function(context, history),
            None => Ok(()),
        }
    }

    fn on_epoch_begin(&mut self, epoch: usize, context: &mut Context<'_>) -> Result<()> {
        match &mut self.epoch_begin {
            Some(function) => function(epoch, context),
            None => Ok(()),
        }
    }

    fn on_epoch_end(
        &mut self,
        epoch: usize,
        context: &mut Context<'_>,
        history: &History,
    ) -> Result<()> {
        match &mut self.epoch_end {
            Some(function) => function(epoch, context, history),
            None => Ok(()),
        }
    }

    fn wants_batches(&self) -> bool {
        self.batch_end.is_some()
    }

    fn state(&self) -> Option<CallbackState> {
        self.state.as_ref().map(|(state, _)| state())
    }

    fn restore(&mut self, state: &CallbackState, _context: &mut Context<'_>) -> Result<()> {
        match &mut self.state {
            Some((_, restore)) => restore(state),
            None => Ok(()),
        }
    }

    fn on_batch_end(&mut self, epoch: usize, step: usize, context: &mut Context<'_>) -> Result<()> {
        match &mut self.batch_end {
            Some(function) => function(epoch, step, context),
            None => Ok(()),
        }
    }

    fn on_train_end(&mut self, context: &mut Context<'_>, history: &mut History) -> Result<()> {
        match &mut self.train_end {
            Some(function) => function(context, history),
            None => Ok(()),
        }
    }
}
