//! Cosine decay that starts anew again and again, each time longer.

use std::f32::consts::PI;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{fields, require_rates, whole};
use crate::error::{require, require_non_negative};
use crate::{Result, Schedule};

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
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CosineDecayRestarts {
    initial_learning_rate: f64,
    #[serde(deserialize_with = "whole")]
    first_decay_steps: u64,
    #[serde(default = "two")]
    t_mul: f64,
    #[serde(default = "one")]
    m_mul: f64,
    #[serde(default)]
    alpha: f64,
    #[serde(default)]
    name: Option<String>,
}

fn one() -> f64 {
    1.0
}

fn two() -> f64 {
    2.0
}

impl CosineDecayRestarts {
    /// From `initial_learning_rate`, first in `first_decay_steps` steps (at least 1).
    pub fn new(initial_learning_rate: f64, first_decay_steps: u64) -> Self {
        CosineDecayRestarts {
            initial_learning_rate,
            first_decay_steps,
            t_mul: 2.0,
            m_mul: 1.0,
            alpha: 0.0,
            name: Some("SGDRDecay".to_string()),
        }
    }

    /// How many times longer each period is than the one before, at least 1. Default 2.
    #[must_use]
    pub fn t_mul(mut self, t_mul: f64) -> Self {
        self.t_mul = t_mul;
        self
    }

    /// How many times higher each period begins than the one before. Default 1.
    #[must_use]
    pub fn m_mul(mut self, m_mul: f64) -> Self {
        self.m_mul = m_mul;
        self
    }

    /// The rate to end each period at, as a fraction of the initial one. Default 0.
    #[must_use]
    pub fn alpha(mut self, alpha: f64) -> Self {
        self.alpha = alpha;
        self
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

    fn class_name(&self) -> &str {
        "CosineDecayRestarts"
    }

    fn config(&self) -> Map<String, Value> {
        fields(self)
    }

    fn validate(&self) -> Result<()> {
        let owner = self.class_name();
        let valid = self.t_mul.is_finite() && self.t_mul >= 1.0;
        require(
            valid,
            owner,
            "t_mul",
            "a finite number, at least 1",
            self.t_mul,
        )?;
        require_non_negative(owner, "m_mul", self.m_mul)?;
        require_non_negative(owner, "alpha", self.alpha)?;
        require_rates(
            owner,
            &[("initial_learning_rate", self.initial_learning_rate)],
            ("first_decay_steps", self.first_decay_steps),
        )
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
