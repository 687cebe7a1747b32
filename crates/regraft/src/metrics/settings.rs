//! Reading settings of metrics as Keras keeps them, and writing them.

use regraft_layers::settings::Settings;
use regraft_tensor::Detail;
use serde_json::{Map, Value};

use super::{Error, Metric, Result};

/// Refuses settings that were given in code and make no sense.
pub(super) fn check(metric: &impl Metric) -> Result<()> {
    let at = |detail: Detail| Error::Argument(detail.within(metric.name()));
    metric.check().map_err(at)
}

/// Refuses an axis other than the last, of which Keras 2 wrote what it was.
pub(super) fn last_axis(settings: &Settings<'_>) -> Result<(), Detail> {
    match settings.or::<i64>("axis", -1)? {
        -1 => Ok(()),
        axis => Err(settings.wrong("axis", "-1, the last axis", &axis.into())),
    }
}

/// One of the names that `choices` gives to values, whatever the case; none if absent.
pub(super) fn one_of<T: Copy>(
    settings: &Settings<'_>,
    key: &str,
    choices: &[(T, &str)],
) -> Result<Option<T>, Detail> {
    let Some(value) = settings.value(key) else {
        return Ok(None);
    };
    let found = value.as_str().and_then(|text| {
        let named = |(_, name): &&(T, &str)| name.eq_ignore_ascii_case(text);
        choices.iter().find(named)
    });
    let names: Vec<&str> = choices.iter().map(|(_, name)| *name).collect();
    let wrong = || settings.wrong(key, &format!("one of {names:?}"), value);
    found.map(|(choice, _)| Some(*choice)).ok_or_else(wrong)
}

/// A 32-bit number as the decimal that it was written as: `0.3`, where the nearest 64-bit number
/// would print as `0.30000001192092896`.
pub(super) fn exact(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::NAN)
}

/// Named settings.
pub(super) fn settings<const N: usize>(all: [(&str, Value); N]) -> Map<String, Value> {
    all.into_iter()
        .map(|(key, value)| (key.to_string(), value))
        .collect()
}
