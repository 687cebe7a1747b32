//! A rate that changes at given steps and is constant in between.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::fields;
use crate::error::{require, require_non_negative};
use crate::{Result, Schedule};

/// Piecewise constant: `values[0]` up to and including step `boundaries[0]`, `values[1]` up to and
/// including `boundaries[1]`, and so on; the last value after the last boundary.
///
/// Source: [Keras](https://keras.io/api/optimizers/learning_rate_schedules/piecewise_constant_decay/).
///
/// ```
/// use regraft_optimizers::{Schedule, schedules::PiecewiseConstantDecay};
///
/// let schedule = PiecewiseConstantDecay::new([100, 200], [0.1, 0.01, 0.001]);
/// assert_eq!(schedule.learning_rate(100), 0.1);
/// assert_eq!(schedule.learning_rate(101), 0.01);
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PiecewiseConstantDecay {
    #[serde(deserialize_with = "whole_numbers")]
    boundaries: Vec<u64>,
    values: Vec<f64>,
    #[serde(default)]
    name: Option<String>,
}

/// As [`super::whole`], for each of a list.
fn whole_numbers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u64>, D::Error> {
    #[derive(Deserialize)]
    struct Whole(#[serde(deserialize_with = "super::whole")] u64);
    let numbers = Vec::<Whole>::deserialize(deserializer)?;
    Ok(numbers.into_iter().map(|number| number.0).collect())
}

impl PiecewiseConstantDecay {
    /// Changes after the steps `boundaries` (increasing, at least one), between the rates `values`
    /// (one more than boundaries).
    pub fn new(
        boundaries: impl IntoIterator<Item = u64>,
        values: impl IntoIterator<Item = f64>,
    ) -> Self {
        PiecewiseConstantDecay {
            boundaries: boundaries.into_iter().collect(),
            values: values.into_iter().collect(),
            name: Some("PiecewiseConstant".to_string()),
        }
    }
}

impl Schedule for PiecewiseConstantDecay {
    fn learning_rate(&self, step: u64) -> f32 {
        let passed = self.boundaries.partition_point(|&boundary| boundary < step);
        self.values
            .get(passed)
            .map_or(f32::NAN, |&rate| rate as f32)
    }

    fn class_name(&self) -> &str {
        "PiecewiseConstantDecay"
    }

    fn config(&self) -> Map<String, Value> {
        fields(self)
    }

    fn validate(&self) -> Result<()> {
        let owner = self.class_name();
        let (boundaries, values) = (&self.boundaries, &self.values);
        let increasing = !boundaries.is_empty() && boundaries.is_sorted_by(|a, b| a < b);
        let received = format!("{boundaries:?}");
        require(
            increasing,
            owner,
            "boundaries",
            "increasing steps",
            received,
        )?;
        require(
            values.len() == boundaries.len() + 1,
            owner,
            "values",
            "one more value than boundaries",
            format!("{} values, {} boundaries", values.len(), boundaries.len()),
        )?;
        values
            .iter()
            .try_for_each(|&rate| require_non_negative(owner, "values", rate))
    }
}

#[cfg(test)]
mod tests {
    use super::super::golden;
    use super::*;

    #[test]
    fn the_rates_are_those_of_keras() {
        golden::compare("PiecewiseConstantDecay");
    }

    #[test]
    fn boundaries_and_values_must_go_together() {
        for (boundaries, values) in [
            (vec![10], vec![0.1]),
            (vec![10, 10], vec![0.1, 0.2, 0.3]),
            (vec![], vec![0.1]),
            (vec![10], vec![0.1, -0.1]),
        ] {
            let schedule = PiecewiseConstantDecay::new(boundaries, values);
            assert!(schedule.validate().is_err(), "{schedule:?}");
        }
    }
}
