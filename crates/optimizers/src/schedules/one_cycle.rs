//! One rise and one long fall: the schedule of "super-convergence".

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{fields, require_rates, whole};
use crate::error::require;
use crate::{Result, Schedule};

/// The one-cycle schedule: along half a cosine from `max / div_factor` up to `max` in the first
/// `pct_start` of the steps, then along half a cosine down to `max / div_factor /
/// final_div_factor`, where it stays.
///
/// With n `total_steps`, the rise ends at step `pct_start · n − 1` and the fall at step `n − 1`.
/// Defaults and formula are those of PyTorch's `OneCycleLR` with `anneal_strategy="cos"`. For
/// fastai's `fit_one_cycle`, use `pct_start(0.25)` and `final_div_factor(4000.0)` (there, the end
/// is given as a fraction of the maximum). Momentum is not cycled. Keras has no such schedule, so
/// that a model saved with it needs a class of this name there.
///
/// Sources: Smith & Topin, [*Super-Convergence*](https://arxiv.org/abs/1708.07120) (2017);
/// [PyTorch](https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.OneCycleLR.html).
///
/// ```
/// use regraft_optimizers::{Schedule, schedules::OneCycle};
///
/// let schedule = OneCycle::new(0.1, 100);
/// assert_eq!(schedule.learning_rate(0), 0.1 / 25.0);
/// assert_eq!(schedule.learning_rate(29), 0.1);
/// assert!(schedule.learning_rate(99) < 1e-6);
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OneCycle {
    max_learning_rate: f64,
    #[serde(deserialize_with = "whole")]
    total_steps: u64,
    pct_start: f64,
    div_factor: f64,
    final_div_factor: f64,
}

impl OneCycle {
    /// Up to `max_learning_rate` and down again in `total_steps` steps (at least 1).
    pub fn new(max_learning_rate: f64, total_steps: u64) -> Self {
        OneCycle {
            max_learning_rate,
            total_steps,
            pct_start: 0.3,
            div_factor: 25.0,
            final_div_factor: 1e4,
        }
    }

    /// The fraction of the steps in which the rate rises, in `[0, 1]`. Default 0.3.
    #[must_use]
    pub fn pct_start(mut self, fraction: f64) -> Self {
        self.pct_start = fraction;
        self
    }

    /// The maximum over the initial rate, above zero. Default 25.
    #[must_use]
    pub fn div_factor(mut self, factor: f64) -> Self {
        self.div_factor = factor;
        self
    }

    /// The initial rate over the final one, above zero. Default 10,000.
    #[must_use]
    pub fn final_div_factor(mut self, factor: f64) -> Self {
        self.final_div_factor = factor;
        self
    }
}

impl Schedule for OneCycle {
    fn learning_rate(&self, step: u64) -> f32 {
        let initial = self.max_learning_rate / self.div_factor;
        let last = initial / self.final_div_factor;
        let end = self.total_steps as f64 - 1.0;
        let peak = self.pct_start * self.total_steps as f64 - 1.0;
        let step = (step as f64).min(end);
        let along = |from: f64, to: f64, fraction: f64| {
            (to + (from - to) / 2.0 * (1.0 + (std::f64::consts::PI * fraction).cos())) as f32
        };
        if step <= peak && peak > 0.0 {
            along(initial, self.max_learning_rate, step / peak)
        } else if end > peak {
            along(self.max_learning_rate, last, (step - peak) / (end - peak))
        } else {
            last as f32
        }
    }

    fn class_name(&self) -> &str {
        "OneCycle"
    }

    fn config(&self) -> Map<String, Value> {
        fields(self)
    }

    fn validate(&self) -> Result<()> {
        let owner = self.class_name();
        let valid = (0.0..=1.0).contains(&self.pct_start);
        require(
            valid,
            owner,
            "pct_start",
            "a number in [0, 1]",
            self.pct_start,
        )?;
        for (name, factor) in [
            ("div_factor", self.div_factor),
            ("final_div_factor", self.final_div_factor),
        ] {
            let valid = factor.is_finite() && factor > 0.0;
            require(valid, owner, name, "a finite number above zero", factor)?;
        }
        require_rates(
            owner,
            &[("max_learning_rate", self.max_learning_rate)],
            ("total_steps", self.total_steps),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden;
    use super::*;

    #[test]
    fn the_rates_are_those_of_the_formula() {
        golden::compare("OneCycle");
    }

    #[test]
    fn every_setting_gives_rates_between_the_ends() {
        for (total, pct_start) in [(1, 0.3), (2, 0.3), (3, 0.0), (10, 1.0), (10, 0.05)] {
            let schedule = OneCycle::new(1.0, total).pct_start(pct_start);
            for step in 0..total + 3 {
                let rate = schedule.learning_rate(step);
                assert!((0.0..=1.0).contains(&rate), "{schedule:?} {step}: {rate}");
            }
        }
    }
}
