//! Cosine decay that starts anew again and again, each time longer.

use std::f32::consts::PI;

use regraft_settings::{require, require_rate, settings};

use super::require_steps;
use crate::Schedule;

settings! {
    /// Cosine decay with warm restarts. Period i lasts `first_decay_steps · t_mulⁱ` steps; at the
    /// fraction x of it,
    ///
    /// `rate = initial · ((1 − α) · m_mulⁱ · ½(1 + cos(π x)) + α)`
    ///
    /// Sources: Loshchilov & Hutter, [*SGDR*](https://arxiv.org/abs/1608.03983) (2016);
    /// [Keras](https://keras.io/api/optimizers/learning_rate_schedules/cosine_decay_restarts/).
    ///
    /// ```
    /// use regraft_optimizers::{Schedule, schedules::CosineDecayRestarts};
    ///
    /// let schedule = CosineDecayRestarts::new(0.1, 10); // then 20 steps, then 40
    /// assert!(schedule.learning_rate(9) < 0.01);
    /// assert_eq!(schedule.learning_rate(10), 0.1);
    /// assert_eq!(schedule.learning_rate(30), 0.1);
    /// ```
    #[derive(Clone, Debug)]
    pub struct CosineDecayRestarts as "keras.optimizers.schedules.CosineDecayRestarts" {
        /// From `initial_learning_rate`, first in `first_decay_steps` steps (at least 1).
        new(initial_learning_rate: f64, first_decay_steps: u64)
        initial_learning_rate: f64 = initial_learning_rate => require_rate,
        first_decay_steps: u64 = first_decay_steps => require_steps,
        /// How many times longer each period is than the one before, at least 1. Default 2.
        t_mul: f64 = 2.0 => |at: &str, t: f64| {
            require(t.is_finite() && t >= 1.0, at, "a finite number, at least 1", t)
        },
        /// How many times higher each period begins than the one before. Default 1.
        m_mul: f64 = 1.0 => require_rate,
        /// The rate to end each period at, as a fraction of the initial one. Default 0.
        alpha: f64 = 0.0 => require_rate,
        name: Option<String> = "SGDRDecay",
    }
}

impl Schedule for CosineDecayRestarts {
    fn learning_rate(&self, step: u64) -> f32 {
        let completed = step as f32 / self.first_decay_steps as f32;
        let t_mul = self.t_mul as f32;
        let (period, fraction) = if t_mul == 1.0 {
            (completed.floor(), completed - completed.floor())
        } else {
            // Period i begins when the geometric series 1 + t_mul + … has i terms.
            let period = ((1.0 - completed * (1.0 - t_mul)).ln() / t_mul.ln()).floor();
            let begin = (1.0 - t_mul.powf(period)) / (1.0 - t_mul);
            (period, (completed - begin) / t_mul.powf(period))
        };
        let height = (self.m_mul as f32).powf(period);
        let cosine = 0.5 * height * (1.0 + (PI * fraction).cos());
        let alpha = self.alpha as f32;
        self.initial_learning_rate as f32 * ((1.0 - alpha) * cosine + alpha)
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden;

    #[test]
    fn the_rates_are_those_of_keras() {
        golden::compare("CosineDecayRestarts");
    }
}
