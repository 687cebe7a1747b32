//! Half a cosine from the initial rate down, after a linear warm-up if asked for.

use std::f32::consts::PI;

use regraft_settings::{require_rate, settings};

use super::require_steps;
use crate::Schedule;

settings! {
    /// Cosine decay. At step s of n `decay_steps`, with s held at n,
    ///
    /// `rate = initial · ((1 − α) · ½(1 + cos(π s / n)) + α)`
    ///
    /// With a `warmup_target`, the rate first rises in a line from the initial one to the target over
    /// `warmup_steps`, and then decays from the target over `decay_steps` more.
    ///
    /// Sources: Loshchilov & Hutter, [*SGDR*](https://arxiv.org/abs/1608.03983) (2016); warm-up: Goyal
    /// et al., [*Accurate, Large Minibatch SGD*](https://arxiv.org/abs/1706.02677) (2017);
    /// [Keras](https://keras.io/api/optimizers/learning_rate_schedules/cosine_decay/).
    ///
    /// ```
    /// use regraft_optimizers::{Schedule, schedules::CosineDecay};
    ///
    /// let schedule = CosineDecay::new(0.0, 90).warmup(0.1, 10);
    /// assert_eq!(schedule.learning_rate(0), 0.0);
    /// assert_eq!(schedule.learning_rate(5), 0.05);
    /// assert_eq!(schedule.learning_rate(10), 0.1);
    /// assert_eq!(schedule.learning_rate(1000), 0.0);
    /// ```
    #[derive(Clone, Debug)]
    pub struct CosineDecay as "keras.optimizers.schedules.CosineDecay" {
        /// From `initial_learning_rate` to zero in `decay_steps` steps (at least 1).
        new(initial_learning_rate: f64, decay_steps: u64)
        initial_learning_rate: f64 = initial_learning_rate => require_rate,
        decay_steps: u64 = decay_steps => require_steps,
        /// The rate to end at, as a fraction of the one that decay starts from. Default 0.
        alpha: f64 = 0.0 => require_rate,
        name: Option<String> = "CosineDecay",
        warmup_target: Option<f64> = None => require_rate,
        warmup_steps: u64 = 0_u64,
    }
}

impl CosineDecay {
    /// First rise to the rate `target` in `steps` steps. Default: no warm-up.
    #[must_use]
    pub fn warmup(mut self, target: f64, steps: u64) -> Self {
        self.warmup_target = Some(target);
        self.warmup_steps = steps;
        self
    }
}

impl Schedule for CosineDecay {
    fn learning_rate(&self, step: u64) -> f32 {
        let initial = self.initial_learning_rate as f32;
        let (decay_from, warmup) = match self.warmup_target {
            Some(target) => (target as f32, self.warmup_steps),
            None => (initial, 0),
        };
        if step < warmup {
            let fraction = step as f32 / warmup as f32;
            return (decay_from - initial) * fraction + initial;
        }
        let fraction = (step - warmup).min(self.decay_steps) as f32 / self.decay_steps as f32;
        let cosine = 0.5 * (1.0 + (PI * fraction).cos());
        let (alpha, rest) = (self.alpha as f32, (1.0 - self.alpha) as f32);
        decay_from * (rest * cosine + alpha)
    }
}

#[cfg(test)]
mod tests {
    use regraft_settings::Configured;

    use super::super::golden;
    use super::*;

    #[test]
    fn the_rates_are_those_of_keras() {
        golden::compare("CosineDecay");
    }

    #[test]
    fn no_steps_are_refused() {
        let error = CosineDecay::new(0.1, 0).check().unwrap_err();
        assert!(error.to_string().contains("decay_steps"), "{error}");
    }
}
