//! Learning-rate schedules, one per file: the rate as a function of the step.
//!
//! Names, formulas and defaults are those of Keras 3 (and for [`OneCycle`] those of PyTorch's
//! `OneCycleLR`, since Keras has none). All are computed in single precision, as Keras does. To
//! write one of your own, implement [`Schedule`].

mod cosine_decay;
mod cosine_decay_restarts;
mod exponential_decay;
mod inverse_time_decay;
mod one_cycle;
mod piecewise_constant_decay;
mod polynomial_decay;

use std::sync::Arc;

use regraft_tensor::Detail;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

pub use cosine_decay::CosineDecay;
pub use cosine_decay_restarts::CosineDecayRestarts;
pub use exponential_decay::ExponentialDecay;
pub use inverse_time_decay::InverseTimeDecay;
pub use one_cycle::OneCycle;
pub use piecewise_constant_decay::PiecewiseConstantDecay;
pub use polynomial_decay::PolynomialDecay;

use crate::error::require_non_negative;
use crate::names::near;
use crate::{Error, Result, Schedule};

/// What a schedule of one's own makes of its class and its settings; see [`from_config_with`].
pub type CustomSchedule<'a> =
    &'a dyn Fn(&str, &Map<String, Value>) -> Option<Result<Arc<dyn Schedule>>>;

/// The class names, as Keras has them.
const NAMES: &[&str] = &[
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "OneCycle",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
];

/// The schedule that a Keras configuration describes (an object with `class_name` and `config`).
///
/// # Errors
/// [`Error::UnknownName`] for an unknown class, [`Error::Config`] for a setting that is missing,
/// unknown or of the wrong type.
pub fn from_config(config: &Value) -> Result<Arc<dyn Schedule>> {
    from_config_with(config, &|_, _| None)
}

/// As [`from_config`], with schedules of one's own: `custom` is given the class name and the settings,
/// and returns the schedule if it is one that it knows.
///
/// # Errors
/// As [`from_config`].
pub fn from_config_with(config: &Value, custom: CustomSchedule<'_>) -> Result<Arc<dyn Schedule>> {
    let class = config.get("class_name").and_then(Value::as_str);
    let (Some(class), Some(settings)) = (class, config.get("config")) else {
        return Err(Error::Config(Detail::new(
            "schedule",
            "an object with `class_name` and `config`",
            config,
        )));
    };
    match class {
        "CosineDecay" => read::<CosineDecay>(class, settings),
        "CosineDecayRestarts" => read::<CosineDecayRestarts>(class, settings),
        "ExponentialDecay" => read::<ExponentialDecay>(class, settings),
        "InverseTimeDecay" => read::<InverseTimeDecay>(class, settings),
        "OneCycle" => read::<OneCycle>(class, settings),
        "PiecewiseConstantDecay" => read::<PiecewiseConstantDecay>(class, settings),
        "PolynomialDecay" => read::<PolynomialDecay>(class, settings),
        _ => {
            let none = Map::new();
            let made = custom(class, settings.as_object().unwrap_or(&none));
            made.unwrap_or_else(|| Err(Error::UnknownName(near(class, "schedule", NAMES))))
        }
    }
}

fn read<S: Schedule + DeserializeOwned>(
    class: &str,
    settings: &Value,
) -> Result<Arc<dyn Schedule>> {
    let schedule = S::deserialize(settings)
        .map_err(|error| Error::Config(Detail::new(class, error, settings)))?;
    Ok(Arc::new(schedule))
}

/// A whole number of steps, which Python may have written as `100` or `100.0`.
fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let number = f64::deserialize(deserializer)?;
    if number >= 0.0 && number.fract() == 0.0 && number < 2f64.powi(53) {
        return Ok(number as u64);
    }
    Err(D::Error::custom(format!(
        "a whole number of steps, received {number}"
    )))
}

/// Refuses a learning rate that is negative or not finite, and no steps at all.
fn require_rates(owner: &str, rates: &[(&str, f64)], steps: (&str, u64)) -> Result<()> {
    for (name, rate) in rates {
        require_non_negative(owner, name, *rate)?;
    }
    let (name, steps) = steps;
    crate::error::require(steps > 0, owner, name, "at least 1", steps)
}

/// A schedule's fields as its configuration.
fn fields<S: serde::Serialize>(schedule: &S) -> Map<String, Value> {
    crate::rules::fields(schedule)
}

#[cfg(test)]
mod golden {
    //! Compares with the rates that real Keras gave: `fixtures/golden_schedules.py` made them.

    use super::*;

    /// The largest difference allowed, relative to the schedule's largest rate.
    const TOLERANCE: f64 = 1e-6;

    pub(super) fn compare(class: &str) {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../fixtures/golden/schedules.json"
        );
        let text = std::fs::read_to_string(path).expect("the golden file is in the repository");
        let file: Value = serde_json::from_str(&text).expect("the golden file is JSON");
        let mut compared = 0;
        for case in file["cases"].as_array().expect("cases") {
            if case["schedule"]["class_name"] != class {
                continue;
            }
            let schedule = from_config(&case["schedule"]).expect("Keras' own settings");
            schedule.validate().expect("valid settings");
            let expected = &case["schedule"]["config"];
            assert_eq!(Value::Object(schedule.config()), *expected);
            let points = case["rates"].as_array().expect("rates");
            let rate = |point: &Value| point[1].as_f64().expect("a rate");
            let largest = points.iter().map(rate).fold(0.0, f64::max);
            for point in points {
                let step = point[0].as_u64().expect("a step");
                let received = f64::from(schedule.learning_rate(step));
                let error = (received - rate(point)).abs() / largest;
                assert!(
                    error <= TOLERANCE,
                    "{}, step {step}: {received} instead of {}, error {error:.2e}",
                    case["name"],
                    rate(point)
                );
            }
            compared += 1;
        }
        assert!(compared > 0, "no golden case for {class}");
    }
}
