//! Stopping when a quantity no longer improves.

use serde_json::json;

use super::monitor::{Monitor, monitored};
use super::snapshot::Snapshot;
use super::{Callback, CallbackState, Context};
use crate::{History, Result};

/// Stops training when the monitored quantity has not improved for `patience` epochs.
///
/// An epoch counts as an improvement if it is better than the best so far by more than `min_delta`,
/// and it ends the waiting if it is also better than `baseline`. An epoch whose value is NaN never
/// is. Frozen weights are neither copied nor restored. Every `fit` begins anew; a
/// [resumed](super::BackupAndRestore) one goes on where it was, with the weights of the best epoch.
///
/// Defaults: monitor `val_loss`, `min_delta` 0, `patience` 0, [`Mode::Auto`](super::Mode::Auto), no baseline, weights
/// not restored, from the first epoch. Source:
/// [Keras](https://keras.io/api/callbacks/early_stopping/).
///
/// ```
/// use regraft::callbacks::EarlyStopping;
///
/// let mut stopping = EarlyStopping::new().patience(2).restore_best_weights(true);
/// let options = regraft::Fit::new().epochs(100).callback(&mut stopping);
/// # drop(options);
/// assert_eq!(stopping.stopped_epoch, None);
/// ```
#[derive(Clone, Debug)]
pub struct EarlyStopping {
    /// The epoch, counted from 0, after which training was stopped, if it was.
    pub stopped_epoch: Option<usize>,
    /// The best value of the monitored quantity.
    pub best: Option<f64>,
    /// The epoch, counted from 0, that had it.
    pub best_epoch: Option<usize>,
    monitor: Monitor,
    patience: usize,
    baseline: Option<f64>,
    restore_best_weights: bool,
    start_from_epoch: usize,
    wait: usize,
    best_weights: Option<Snapshot>,
}

impl Default for EarlyStopping {
    fn default() -> Self {
        EarlyStopping {
            stopped_epoch: None,
            best: None,
            best_epoch: None,
            monitor: Monitor::new(0.0),
            patience: 0,
            baseline: None,
            restore_best_weights: false,
            start_from_epoch: 0,
            wait: 0,
            best_weights: None,
        }
    }
}

monitored!(EarlyStopping, min_delta);

impl EarlyStopping {
    /// With Keras' defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of epochs without improvement after which training stops.
    #[must_use]
    pub fn patience(mut self, epochs: usize) -> Self {
        self.patience = epochs;
        self
    }

    /// Training also stops if it does not get better than this within `patience` epochs.
    #[must_use]
    pub fn baseline(mut self, baseline: f64) -> Self {
        self.baseline = Some(baseline);
        self
    }

    /// Whether the model ends with the weights of its best epoch, also if training was not stopped.
    #[must_use]
    pub fn restore_best_weights(mut self, restore: bool) -> Self {
        self.restore_best_weights = restore;
        self
    }

    /// The first epoch, counted from 0, that is watched; those before are for warming up.
    #[must_use]
    pub fn start_from_epoch(mut self, epoch: usize) -> Self {
        self.start_from_epoch = epoch;
        self
    }

    /// Takes the value of an epoch into account.
    fn watch(&mut self, epoch: usize, value: f64, context: &Context<'_>) {
        let snapshot = |keep: bool| keep.then(|| Snapshot::take(&context.model.network));
        if self.best_weights.is_none() {
            self.best_weights = snapshot(self.restore_best_weights);
        }
        self.wait += 1;
        if self.monitor.improves(value, self.best) {
            self.best = Some(value);
            self.best_epoch = Some(epoch);
            if let Some(now) = snapshot(self.restore_best_weights) {
                self.best_weights = Some(now);
            }
            if self.baseline.is_none() || self.monitor.improves(value, self.baseline) {
                self.wait = 0;
            }
        } else if self.wait >= self.patience && epoch > 0 {
            self.stopped_epoch = Some(epoch);
        }
    }
}

impl Callback for EarlyStopping {
    fn on_train_begin(&mut self, context: &mut Context<'_>, _history: &mut History) -> Result<()> {
        self.monitor.begin("EarlyStopping", context)?;
        self.wait = 0;
        self.stopped_epoch = None;
        self.best = None;
        self.best_epoch = None;
        self.best_weights = None;
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
        if epoch < self.start_from_epoch {
            return Ok(());
        }
        self.watch(epoch, value, context);
        if self.stopped_epoch.is_some() {
            context.stop();
        }
        Ok(())
    }

    fn on_train_end(&mut self, context: &mut Context<'_>, _history: &mut History) -> Result<()> {
        if let Some(best) = self.best_weights.take() {
            best.restore(&mut context.model.network)?;
        }
        Ok(())
    }

    fn state(&self) -> Option<CallbackState> {
        let state = CallbackState::new()
            .value("stopped_epoch", json!(self.stopped_epoch))
            .number("best", self.best)
            .value("best_epoch", json!(self.best_epoch))
            .value("wait", self.wait);
        Some(match &self.best_weights {
            Some(weights) => weights.added_to(state),
            None => state,
        })
    }

    fn restore(&mut self, state: &CallbackState, context: &mut Context<'_>) -> Result<()> {
        self.wait = state.count("wait")?;
        self.stopped_epoch = state.get_count("stopped_epoch");
        self.best = state.get_number("best");
        self.best_epoch = state.get_count("best_epoch");
        self.best_weights = Snapshot::from_state(state, &context.model.network)?;
        Ok(())
    }
}
