//! A rate that falls along a polynomial (by default a line) to an end.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{fields, require_rates, whole};
use crate::error::require_non_negative;
use crate::{Result, Schedule};

/// Polynomial decay. At step s of n `decay_steps`, with s held at n,
///
/// `rate = (initial − end) · (1 − s / n)^power + end`
///
/// With `cycle`, n is instead the smallest multiple of `decay_steps` that is not below s (and above
/// zero), so that the rate rises again after each n.
///
/// Source: [Keras](https://keras.io/api/optimizers/learning_rate_schedules/polynomial_decay/).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolynomialDecay {
    initial_learning_rate: f64,
    #[serde(deserialize_with = "whole")]
    decay_steps: u64,
    #[serde(default = "default_end")]
    end_learning_rate: f64,
    #[serde(default = "default_power")]
    power: f64,
    #[serde(default)]
    cycle: bool,
    #[serde(default)]
    name: Option<String>,
}

fn default_end() -> f64 {
    0.0001
}

fn default_power() -> f64 {
    1.0
}

impl PolynomialDecay {
    /// From `initial_learning_rate` to 0.0001 in `decay_steps` steps (at least 1), in a line.
    pub fn new(initial_learning_rate: f64, decay_steps: u64) -> Self {
        PolynomialDecay {
            initial_learning_rate,
            decay_steps,
            end_learning_rate: default_end(),
            power: default_power(),
            cycle: false,
            name: Some("PolynomialDecay".to_string()),
        }
    }

    /// The rate to end at. Default 0.0001.
    #[must_use]
    pub fn end_learning_rate(mut self, rate: f64) -> Self {
        self.end_learning_rate = rate;
        self
    }

    /// The power of the polynomial. Default 1.
    #[must_use]
    pub fn power(mut self, power: f64) -> Self {
        self.power = power;
        self
    }

    /// Whether to start anew (from ever closer to the end) after each decay. Default no.
    #[must_use]
    pub fn cycle(mut self, cycle: bool) -> Self {
        self.cycle = cycle;
        self
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

    fn class_name(&self) -> &str {
        "PolynomialDecay"
    }

    fn config(&self) -> Map<String, Value> {
        fields(self)
    }

    fn validate(&self) -> Result<()> {
        let owner = self.class_name();
        require_non_negative(owner, "power", self.power)?;
        require_rates(
            owner,
            &[
                ("initial_learning_rate", self.initial_learning_rate),
                ("end_learning_rate", self.end_learning_rate),
            ],
            ("decay_steps", self.decay_steps),
        )
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
