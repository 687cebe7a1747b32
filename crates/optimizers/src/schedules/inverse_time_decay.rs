//! A rate that falls as one over time.

use regraft_settings::{require_rate, settings};

use super::require_steps;
use crate::Schedule;

settings! {
    /// Inverse time decay. At step s, with n `decay_steps`,
    ///
    /// `rate = initial / (1 + decay_rate · s / n)`
    ///
    /// With `staircase`, s / n is rounded down.
    ///
    /// Source: [Keras](https://keras.io/api/optimizers/learning_rate_schedules/inverse_time_decay/).
    #[derive(Clone, Debug)]
    pub struct InverseTimeDecay as "keras.optimizers.schedules.InverseTimeDecay" {
        /// From `initial_learning_rate`, by `decay_rate` every `decay_steps` steps (at least 1).
        new(initial_learning_rate: f64, decay_steps: u64, decay_rate: f64)
        initial_learning_rate: f64 = initial_learning_rate => require_rate,
        decay_steps: u64 = decay_steps => require_steps,
        decay_rate: f64 = decay_rate => require_rate,
        /// Whether the rate falls once every `decay_steps` steps rather than in each. Default no.
        staircase: bool = false,
        name: Option<String> = "InverseTimeDecay",
    }
}

impl Schedule for InverseTimeDecay {
    fn learning_rate(&self, step: u64) -> f32 {
        let mut periods = step as f32 / self.decay_steps as f32;
        if self.staircase {
            periods = periods.floor();
        }
        let (initial, rate) = (self.initial_learning_rate as f32, self.decay_rate as f32);
        initial / (1.0 + rate * periods)
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden;

    #[test]
    fn the_rates_are_those_of_keras() {
        golden::compare("InverseTimeDecay");
    }
}
