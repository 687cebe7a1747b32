//! Learning-rate schedules, one per file: the rate as a function of the step.
//!
//! Names, formulas and defaults are those of Keras 3 (and for [`OneCycle`] those of PyTorch's
//! `OneCycleLR`, since Keras has none). All are computed in single precision, as Keras does. To
//! write one of your own, implement [`Schedule`] and declare its settings.

use std::sync::Arc;

use regraft_settings::{Detail, FromSettings, Map, Settings, catalogue, read, require};
use serde_json::Value;

use crate::names::near;
use crate::{Error, Result, Schedule};

catalogue! {
    Arc<dyn Schedule>, made:
    cosine_decay: CosineDecay ["CosineDecay"];
    cosine_decay_restarts: CosineDecayRestarts ["CosineDecayRestarts"];
    exponential_decay: ExponentialDecay ["ExponentialDecay"];
    inverse_time_decay: InverseTimeDecay ["InverseTimeDecay"];
    one_cycle: OneCycle ["OneCycle"];
    piecewise_constant_decay: PiecewiseConstantDecay ["PiecewiseConstantDecay"];
    polynomial_decay: PolynomialDecay ["PolynomialDecay"];
}

/// What a schedule of one's own makes of its class and its settings; see [`from_config_with`].
pub type CustomSchedule<'a> = &'a dyn Fn(&str, &Map) -> Option<Result<Arc<dyn Schedule>>>;

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
    let none = Map::new();
    let settings = settings.as_object().unwrap_or(&none);
    match TABLE.iter().find(|(names, _)| names.contains(&class)) {
        Some((_, make)) => read(class, settings, None, make).map_err(Error::Config),
        None => custom(class, settings).unwrap_or_else(|| {
            let names: Vec<&str> = TABLE.iter().map(|(names, _)| names[0]).collect();
            Err(Error::UnknownName(near(class, "schedule", &names)))
        }),
    }
}

fn made<S: Schedule + FromSettings>(settings: &Settings<'_>) -> Result<Arc<dyn Schedule>, Detail> {
    Ok(Arc::new(S::from_settings(settings)?))
}

/// Refuses no steps at all.
fn require_steps(at: &str, steps: u64) -> Result<(), Detail> {
    require(steps > 0, at, "at least 1", steps)
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
            schedule.check().expect("valid settings");
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
