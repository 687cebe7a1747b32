//! A rate that changes at given steps and is constant in between.

use regraft_settings::{Detail, require, require_rate, settings};

use crate::Schedule;

settings! {
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
    #[derive(Clone, Debug)]
    pub struct PiecewiseConstantDecay as "keras.optimizers.schedules.PiecewiseConstantDecay" {
        /// Changes after the steps `boundaries` (increasing, at least one), between the rates `values`
        /// (one more than boundaries).
        new(boundaries: Vec<u64>, values: Vec<f64>)
        boundaries: Vec<u64> = boundaries => increasing,
        values: Vec<f64> = values => |at: &str, rates: Vec<f64>| {
            rates.into_iter().try_for_each(|rate| require_rate(at, rate))
        },
        name: Option<String> = "PiecewiseConstant",
    }
    checking |it| {
        let (values, boundaries) = (it.values.len(), it.boundaries.len());
        let received = format!("{values} values, {boundaries} boundaries");
        match values == boundaries + 1 {
            true => Ok(()),
            false => Err(Detail::new("values", "one more value than boundaries", received)),
        }
    }
}

fn increasing(at: &str, steps: Vec<u64>) -> Result<(), Detail> {
    let increase = !steps.is_empty() && steps.is_sorted_by(|a, b| a < b);
    require(increase, at, "increasing steps", steps)
}

impl Schedule for PiecewiseConstantDecay {
    fn learning_rate(&self, step: u64) -> f32 {
        let passed = self.boundaries.partition_point(|&boundary| boundary < step);
        self.values
            .get(passed)
            .map_or(f32::NAN, |&rate| rate as f32)
    }
}

#[cfg(test)]
mod tests {
    use regraft_settings::Configured;

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
            assert!(schedule.check().is_err(), "{schedule:?}");
        }
    }
}
