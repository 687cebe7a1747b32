//! A learning rate that is set before every epoch.

use std::fmt;

use regraft_tensor::Detail;

use super::{Callback, Context};
use crate::{Error, Result};

/// Sets the learning rate before each epoch to what a function makes of the epoch, counted from 0,
/// and the rate so far. For a rate that changes with every step, compile with a
/// [schedule](crate::optimizers::schedules) instead.
///
/// Source: [Keras](https://keras.io/api/callbacks/learning_rate_scheduler/).
///
/// ```
/// use regraft::callbacks::LearningRateScheduler;
///
/// let decay = LearningRateScheduler::new(|epoch, rate| if epoch < 10 { rate } else { rate * 0.9 });
/// let options = regraft::Fit::new().epochs(20).callback(decay);
/// # drop(options);
/// ```
pub struct LearningRateScheduler<F> {
    schedule: F,
}

impl<F: FnMut(usize, f64) -> f64> LearningRateScheduler<F> {
    /// Sets the rate to `schedule(epoch, rate)`.
    pub fn new(schedule: F) -> Self {
        LearningRateScheduler { schedule }
    }
}

impl<F> fmt::Debug for LearningRateScheduler<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LearningRateScheduler")
            .finish_non_exhaustive()
    }
}

impl<F: FnMut(usize, f64) -> f64> Callback for LearningRateScheduler<F> {
    /// # Errors
    /// A rate that is negative or no number, or an optimizer whose rate follows a schedule.
    fn on_epoch_begin(&mut self, epoch: usize, context: &mut Context<'_>) -> Result<()> {
        let now = context.optimizer()?.learning_rate();
        let rate = (self.schedule)(epoch, f64::from(now));
        if !(rate.is_finite() && rate >= 0.0) {
            return Err(Error::Setting(Detail::new(
                format!("LearningRateScheduler, epoch {epoch}"),
                "a finite rate ≥ 0",
                rate,
            )));
        }
        context.optimizer_mut()?.set_learning_rate(rate)?;
        Ok(())
    }
}
