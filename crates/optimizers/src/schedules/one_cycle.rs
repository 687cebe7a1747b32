//! One rise and one long fall: the schedule of "super-convergence".

use regraft_settings::{require_positive, require_rate, require_share, settings};

use super::require_steps;
use crate::Schedule;

settings! {
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
    #[derive(Clone, Debug)]
    pub struct OneCycle as "OneCycle" {
        /// Up to `max_learning_rate` and down again in `total_steps` steps (at least 1).
        new(max_learning_rate: f64, total_steps: u64)
        max_learning_rate: f64 = max_learning_rate => require_rate,
        total_steps: u64 = total_steps => require_steps,
        /// The fraction of the steps in which the rate rises, in `[0, 1]`. Default 0.3.
        pct_start: f64 = 0.3 => require_share,
        /// The maximum over the initial rate, above zero. Default 25.
        div_factor: f64 = 25.0 => require_positive,
        /// The initial rate over the final one, above zero. Default 10,000.
        final_div_factor: f64 = 1e4 => require_positive,
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
