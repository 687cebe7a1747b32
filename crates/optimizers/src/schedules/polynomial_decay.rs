//! A rate that falls along a polynomial (by default a line) to an end.

use regraft_settings::{require_rate, settings};

use super::require_steps;
use crate::Schedule;

settings! {
    /// Polynomial decay. At step s of n `decay_steps`, with s held at n,
    ///
    /// `rate = (initial − end) · (1 − s / n)^power + end`
    ///
    /// With `cycle`, n is instead the smallest multiple of `decay_steps` that is not below s (and above
    /// zero), so that the rate rises again after each n.
    ///
    /// Source: [Keras](https://keras.io/api/optimizers/learning_rate_schedules/polynomial_decay/).
    #[derive(Clone, Debug)]
    pub struct PolynomialDecay as "keras.optimizers.schedules.PolynomialDecay" {
        /// From `initial_learning_rate` to 0.0001 in `decay_steps` steps (at least 1), in a line.
        new(initial_learning_rate: f64, decay_steps: u64)
        initial_learning_rate: f64 = initial_learning_rate => require_rate,
        decay_steps: u64 = decay_steps => require_steps,
        /// The rate to end at. Default 0.0001.
        end_learning_rate: f64 = 0.0001 => require_rate,
        /// The power of the polynomial. Default 1.
        power: f64 = 1.0 => require_rate,
        /// Whether to start anew (from ever closer to the end) after each decay. Default no.
        cycle: bool = false,
        name: Option<String> = "PolynomialDecay",
    }
}

impl Schedule for PolynomialDecay {
    fn learning_rate(&self, step: u64) -> f32 {
        let (mut step, mut steps) = (step as f32, self.decay_steps as f32);
        if self.cycle {
            steps *= (step / steps).ceil().max(1.0);
        } else {
            step = step.min(steps);
        }
        let (initial, end) = (
            self.initial_learning_rate as f32,
            self.end_learning_rate as f32,
        );
        (initial - end) * (1.0 - step / steps).powf(self.power as f32) + end
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden;

    #[test]
    fn the_rates_are_those_of_keras() {
        golden::compare("PolynomialDecay");
    }
}
