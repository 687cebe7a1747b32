//! Watching one quantity of the history: which way it gets better, and when it does.

use regraft_tensor::Detail;

use super::Context;
use crate::metrics::Direction;
use crate::{Error, History, Result};

/// Which way the monitored quantity gets better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// A loss downwards, a metric as [`Metric::direction`](crate::metrics::Metric::direction) says.
    #[default]
    Auto,
    /// Smaller is better.
    Min,
    /// Larger is better.
    Max,
}

/// A quantity that is watched for improvements of more than `min_delta`.
#[derive(Clone, Debug)]
pub(crate) struct Monitor {
    pub name: String,
    pub mode: Mode,
    pub min_delta: f64,
    larger_is_better: bool,
}

impl Monitor {
    /// Watches the loss on the validation data.
    pub fn new(min_delta: f64) -> Self {
        Monitor {
            name: "val_loss".to_string(),
            mode: Mode::Auto,
            min_delta,
            larger_is_better: false,
        }
    }

    /// Finds out which way is better, and whether the history will have the quantity at all, so
    /// that a wrong name costs no epoch.
    pub fn begin(&mut self, owner: &str, context: &Context<'_>) -> Result<()> {
        let known = context.quantities();
        let at = || format!("{owner}.monitor");
        if !known.contains(&self.name) {
            let expected = format!("one of {}", known.join(", "));
            let detail = Detail::new(at(), expected, format!("{:?}", self.name));
            let help = match self.name.starts_with("val_") {
                true => "validate with `validation_data` or `validation_split`, or monitor another",
                false => "add the metric to `compile`, or monitor another",
            };
            return Err(Error::Setting(detail.help(help)));
        }
        if !self.min_delta.is_finite() {
            let at = format!("{owner}.min_delta");
            let detail = Detail::new(at, "a finite number", self.min_delta);
            return Err(Error::Setting(detail));
        }
        self.larger_is_better = match (self.mode, context.direction(&self.name)) {
            (Mode::Max, _) | (Mode::Auto, Some(Direction::Up)) => true,
            (Mode::Min, _) | (Mode::Auto, Some(Direction::Down)) => false,
            (Mode::Auto, None) => {
                let expected = "a metric that says which way it gets better";
                let detail = Detail::new(at(), expected, format!("{:?}", self.name));
                return Err(Error::Setting(
                    detail.help("say so with `mode(Mode::Max)` or `mode(Mode::Min)`"),
                ));
            }
        };
        Ok(())
    }

    /// The value of this epoch, if it has one.
    pub fn value(&self, epoch: usize, history: &History) -> Option<f64> {
        let last = history.points(&self.name).last();
        last.filter(|(at, _)| *at == epoch).map(|(_, value)| value)
    }

    /// Whether `value` is better than `reference` by more than `min_delta`. Anything is better than
    /// nothing, but for NaN, which is never better.
    pub fn improves(&self, value: f64, reference: Option<f64>) -> bool {
        let delta = self.min_delta.abs();
        match reference {
            None => !value.is_nan(),
            Some(reference) if self.larger_is_better => value - delta > reference,
            Some(reference) => value + delta < reference,
        }
    }
}

/// The setters of a callback that has a `monitor`; `min_delta` where it is among them.
macro_rules! monitored {
    ($callback:ident $(, $min_delta:ident)?) => {
        impl $callback {
            /// The quantity of the history to watch, such as `val_accuracy`.
            #[must_use]
            pub fn monitor(mut self, name: impl Into<String>) -> Self {
                self.monitor.name = name.into();
                self
            }

            /// Which way the quantity gets better.
            #[must_use]
            pub fn mode(mut self, mode: $crate::callbacks::Mode) -> Self {
                self.monitor.mode = mode;
                self
            }

            $(
                /// A change that is not larger than this is no improvement. Its sign does not matter.
                #[must_use]
                pub fn $min_delta(mut self, $min_delta: f64) -> Self {
                    self.monitor.$min_delta = $min_delta;
                    self
                }
            )?
        }
    };
}
pub(super) use monitored;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_improvement_exceeds_the_smallest_change() {
        let mut monitor = Monitor::new(-0.5);
        assert!(monitor.improves(1.0, None));
        assert!(!monitor.improves(f64::NAN, None));
        assert!(!monitor.improves(1.0, Some(1.5)));
        assert!(monitor.improves(0.75, Some(1.5)));
        assert!(!monitor.improves(f64::NAN, Some(1.5)));
        monitor.larger_is_better = true;
        assert!(!monitor.improves(2.0, Some(1.5)));
        assert!(monitor.improves(2.25, Some(1.5)));
    }
}
