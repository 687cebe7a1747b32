//! A rate that falls as one over time.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{fields, require_rates, whole};
use crate::error::require_non_negative;
use crate::{Result, Schedule};

/// Inverse time decay. At step s, with n `decay_steps`,
///
/// `rate = initial / (1 + decay_rate · s / n)`
///
/// With `staircase`, s / n is rounded down.
///
/// Source: [Keras](https://keras.io/api/optimizers/learning_rate_schedules/inverse_time_decay/).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InverseTimeDecay {
    initial_learning_rate: f64,
    #[serde(deserialize_with = "whole")]
    decay_steps: u64,
    decay_rate: f64,
    #[serde(default)]
    staircase: bool,
    #[serde(default)]
    name: Option<String>,
}

impl InverseTimeDecay {
    /// From `initial_learning_rate`, by `decay_rate` every `decay_steps` steps (at least 1).
    pub fn new(initial_learning_rate: f64, decay_steps: u64, decay_rate: f64) -> Self {
        InverseTimeDecay {
            initial_learning_rate,
            decay_steps,
            decay_rate,
            staircase: false,
            name: Some("InverseTimeDecay".to_string()),
        }
    }

    /// Whether the rate falls once every `decay_steps` steps rather than in each. Default no.
    #[must_use]
    pub fn staircase(mut self, staircase: bool) -> Self {
        self.staircase = staircase;
        self
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

    fn class_name(&self) -> &str {
        "InverseTimeDecay"
    }

    fn config(&self) -> Map<String, Value> {
        fields(self)
    }

    fn validate(&self) -> Result<()> {
        let owner = self.class_name();
        require_non_negative(owner, "decay_rate", self.decay_rate)?;
        require_rates(
            owner,
            &[("initial_learning_rate", self.initial_learning_rate)],
            ("decay_steps", self.decay_steps),
        )
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
