//! Reading settings of metrics as Keras keeps them, and writing them.

use regraft_layers::settings::{Given, Setting, Settings, named};
use regraft_tensor::Detail;
use serde_json::{Map, Value};

use super::{Aggregation, Average, Curve, Error, Metric, Result, Summation};

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

/// A setting that is one of some names, whatever the case, or null.
macro_rules! name_or_null {
    ($type:ident: null = $none:ident, $($value:ident = $name:literal),+) => {
        impl Setting for $type {
            const NULL: Option<Self> = Some($type::$none);

            fn read(given: Given<'_>) -> Result<Self, Detail> {
                match given.value.as_str() {
                    $(Some(text) if text.eq_ignore_ascii_case($name) => Ok($type::$value),)+
                    _ => Err(given.wrong(&format!("one of {:?} or null", [$($name),+]))),
                }
            }

            fn write(&self) -> Value {
                match self {
                    $type::$none => Value::Null,
                    $($type::$value => $name.into(),)+
                }
            }
        }
    };
}

name_or_null!(Average: null = None, Micro = "micro", Macro = "macro", Weighted = "weighted");
name_or_null!(
    Aggregation: null = None,
    UniformAverage = "uniform_average",
    VarianceWeightedAverage = "variance_weighted_average"
);
named!(Curve: Roc = "ROC", Pr = "PR", PrGain = "PRGAIN"; PrGain = "PR_GAIN");
named!(Summation: Interpolation = "interpolation", Minoring = "minoring", Majoring = "majoring");

/// Named settings.
pub(super) fn settings<const N: usize>(all: [(&str, Value); N]) -> Map<String, Value> {
    all.into_iter()
        .map(|(key, value)| (key.to_string(), value))
        .collect()
}
