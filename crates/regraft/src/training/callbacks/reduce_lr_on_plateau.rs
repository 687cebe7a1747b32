//! A smaller learning rate when a quantity no longer improves.

use regraft_tensor::Detail;
use serde_json::json;

use super::monitor::{Monitor, monitored};
use super::{Callback, CallbackState, Context};
use crate::{Error, History, Result};

/// Multiplies the learning rate by `factor` when the monitored quantity has not improved for
/// `patience` epochs, down to `min_lr`; after that it waits `cooldown` epochs before it counts again.
/// Every `fit` begins anew, as in Keras.
///
/// Defaults: monitor `val_loss`, `factor` 0.1, `patience` 10, [`Mode::Auto`](super::Mode::Auto), `min_delta` 1e-4,
/// `cooldown` 0, `min_lr` 0. Source: [Keras](https://keras.io/api/callbacks/reduce_lr_on_plateau/).
///
/// ```
/// use regraft::callbacks::ReduceLROnPlateau;
///
/// let reduce = ReduceLROnPlateau::new().factor(0.2).patience(5).min_lr(1e-5);
/// let options = regraft::Fit::new().epochs(100).callback(reduce);
/// # drop(options);
/// ```
#[derive(Clone, Debug)]
pub struct ReduceLROnPlateau {
    /// The best value of the monitored quantity.
    pub best: Option<f64>,
    /// The epochs, counted from 0, after which the rate was reduced.
    pub reduced: Vec<usize>,
    monitor: Monitor,
    factor: f64,
    patience: usize,
    cooldown: usize,
    min_lr: f64,
    wait: usize,
    cooling: usize,
}

impl Default for ReduceLROnPlateau {
    fn default() -> Self {
        ReduceLROnPlateau {
            best: None,
            reduced: Vec::new(),
            monitor: Monitor::new(1e-4),
            factor: 0.1,
            patience: 10,
            cooldown: 0,
            min_lr: 0.0,
            wait: 0,
            cooling: 0,
        }
    }
}

monitored!(ReduceLROnPlateau, min_delta);

impl ReduceLROnPlateau {
    /// With Keras' defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// What the rate is multiplied by: above 0, below 1.
    #[must_use]
    pub fn factor(mut self, factor: f64) -> Self {
        self.factor = factor;
        self
    }

    /// The number of epochs without improvement after which the rate is reduced.
    #[must_use]
    pub fn patience(mut self, epochs: usize) -> Self {
        self.patience = epochs;
        self
    }

    /// The number of epochs after a reduction that are not counted.
    #[must_use]
    pub fn cooldown(mut self, epochs: usize) -> Self {
        self.cooldown = epochs;
        self
    }

    /// The smallest rate.
    #[must_use]
    pub fn min_lr(mut self, rate: f64) -> Self {
        self.min_lr = rate;
        self
    }

    /// Takes the value of an epoch into account, and says whether the rate is to be reduced.
    fn watch(&mut self, value: f64) -> bool {
        if self.cooling > 0 {
            self.cooling -= 1;
            self.wait = 0;
        }
        if self.monitor.improves(value, self.best) {
            self.best = Some(value);
            self.wait = 0;
        } else if self.cooling == 0 {
            self.wait += 1;
            return self.wait >= self.patience;
        }
        false
    }

    fn has_reduced(&mut self, epoch: usize) {
        self.reduced.push(epoch);
        self.cooling = self.cooldown;
        self.wait = 0;
    }
}

impl Callback for ReduceLROnPlateau {
    fn on_train_begin(&mut self, context: &mut Context<'_>, _history: &mut History) -> Result<()> {
        self.monitor.begin("ReduceLROnPlateau", context)?;
        if !(self.factor > 0.0 && self.factor < 1.0) {
            let detail = Detail::new(
                "ReduceLROnPlateau.factor",
                "a number above 0 and below 1",
                self.factor,
            );
            return Err(Error::Setting(detail));
        }
        if context.optimizer()?.is_scheduled() {
            let detail = Detail::new(
                "ReduceLROnPlateau",
                "an optimizer whose learning rate is a number",
                "one whose learning rate follows a schedule",
            );
            return Err(Error::Setting(
                detail.help("compile with a number, or leave the schedule alone"),
            ));
        }
        self.best = None;
        self.reduced.clear();
        (self.wait, self.cooling) = (0, 0);
        Ok(())
    }

    fn on_epoch_end(
        &mut self,
        epoch: usize,
        context: &mut Context<'_>,
        history: &History,
    ) -> Result<()> {
        let Some(value) = self.monitor.value(epoch, history) else {
            return Ok(());
        };
        if !self.watch(value) {
            return Ok(());
        }
        let rate = context.optimizer()?.learning_rate();
        if rate > self.min_lr as f32 {
            let reduced = (f64::from(rate) * self.factor).max(self.min_lr);
            context.optimizer_mut()?.set_learning_rate(reduced)?;
            self.has_reduced(epoch);
        }
        Ok(())
    }

    fn state(&self) -> Option<CallbackState> {
        let state = CallbackState::new()
            .number("best", self.best)
            .value("reduced", json!(self.reduced))
            .value("wait", self.wait)
            .value("cooling", self.cooling);
        Some(state)
    }

    fn restore(&mut self, state: &CallbackState, _context: &mut Context<'_>) -> Result<()> {
        self.wait = state.count("wait")?;
        self.cooling = state.count("cooling")?;
        self.best = state.get_number("best");
        let reduced = state.get_value("reduced").cloned().unwrap_or_default();
        self.reduced = serde_json::from_value(reduced).unwrap_or_default();
        Ok(())
    }
}
