//! Stopping when the loss is no number any more.

use regraft_tensor::Detail;
use serde_json::json;

use super::{Callback, CallbackState, Context};
use crate::{Error, History, Result};

/// Stops training at the first step whose loss is NaN or infinite, without waiting for the end of
/// the epoch.
///
/// Training ends as usual then. With [`raise_error`](Self::raise_error) it ends with
/// [`Error::Diverged`] instead, and no other callback is told of an end: a
/// [backup](super::BackupAndRestore) stays. Source:
/// [Keras](https://keras.io/api/callbacks/terminate_on_nan/).
#[derive(Clone, Debug, Default)]
pub struct TerminateOnNaN {
    /// The epoch and step, counted from 0, at which training was stopped, if it was.
    pub stopped_at: Option<(usize, usize)>,
    raise_error: bool,
}

impl TerminateOnNaN {
    /// Stops without an error.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether `fit` returns an error.
    #[must_use]
    pub fn raise_error(mut self, raise: bool) -> Self {
        self.raise_error = raise;
        self
    }
}

impl Callback for TerminateOnNaN {
    fn on_train_begin(&mut self, _context: &mut Context<'_>, _history: &mut History) -> Result<()> {
        self.stopped_at = None;
        Ok(())
    }

    fn state(&self) -> Option<CallbackState> {
        Some(CallbackState::new().value("stopped_at", json!(self.stopped_at)))
    }

    fn restore(&mut self, state: &CallbackState, _context: &mut Context<'_>) -> Result<()> {
        let stopped = state.get_value("stopped_at").cloned().unwrap_or_default();
        self.stopped_at = serde_json::from_value(stopped).unwrap_or_default();
        Ok(())
    }

    fn wants_batches(&self) -> bool {
        true
    }

    fn on_batch_end(&mut self, epoch: usize, step: usize, context: &mut Context<'_>) -> Result<()> {
        // The mean of the epoch so far is finite as long as every loss was.
        if context.loss.is_finite() {
            return Ok(());
        }
        self.stopped_at = Some((epoch, step));
        context.stop();
        if self.raise_error {
            let at = format!("loss of step {step} of epoch {epoch}");
            let detail = Detail::new(at, "a finite number", context.loss);
            return Err(Error::Diverged(detail.help(
                "use a smaller learning rate, clip gradients, or look at the data of this step",
            )));
        }
        Ok(())
    }
}
