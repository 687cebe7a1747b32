//! A smallest and a largest norm.

use regraft_tensor::{Detail, Tensor};
use serde_json::{Map, Value};

use super::norm::rescale;
use crate::settings::{self, FromSettings, Settings};
use crate::{Configured, ConstraintFunction};

/// Scales each part of a weight along `axis` so that its norm comes within `min_value` and
/// `max_value`: wholly, or by the share `rate` of the way.
///
/// Keras: <https://keras.io/api/layers/constraints/#minmaxnorm-class>.
#[derive(Clone, Debug, PartialEq)]
pub struct MinMaxNorm {
    /// The smallest norm; Keras' default is 0.
    pub min_value: f32,
    /// The largest norm; Keras' default is 1.
    pub max_value: f32,
    /// How much of the way each step goes, in 0..=1; Keras' default is 1.
    pub rate: f32,
    /// The axes that a norm is taken along; Keras' default is axis 0.
    pub axis: Vec<isize>,
}

impl Default for MinMaxNorm {
    fn default() -> Self {
        MinMaxNorm {
            min_value: 0.0,
            max_value: 1.0,
            rate: 1.0,
            axis: vec![0],
        }
    }
}

impl Configured for MinMaxNorm {
    fn class_name(&self) -> &str {
        "MinMaxNorm"
    }

    fn module(&self) -> &str {
        "keras.constraints"
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([
            ("min_value".to_string(), settings::number(self.min_value)),
            ("max_value".to_string(), settings::number(self.max_value)),
            ("rate".to_string(), settings::number(self.rate)),
            ("axis".to_string(), settings::axes(&self.axis)),
        ])
    }

    fn check(&self) -> Result<(), Detail> {
        let range = (self.min_value, self.max_value);
        let holds = range.0 >= 0.0 && range.0 <= range.1 && range.1.is_finite();
        settings::require(holds, "MinMaxNorm", "0 ≤ min_value ≤ max_value", range)?;
        settings::require_share("MinMaxNorm.rate", self.rate)
    }
}

impl FromSettings for MinMaxNorm {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        let default = MinMaxNorm::default();
        Ok(MinMaxNorm {
            min_value: settings.number("min_value", default.min_value)?,
            max_value: settings.number("max_value", default.max_value)?,
            rate: settings.number("rate", default.rate)?,
            axis: settings.axes("axis")?.unwrap_or(default.axis),
        })
    }
}

impl ConstraintFunction for MinMaxNorm {
    fn constrain(&self, weight: &mut Tensor) -> Result<(), Detail> {
        let desired = |norm: f32| {
            let within = norm.clamp(self.min_value, self.max_value);
            self.rate * within + (1.0 - self.rate) * norm
        };
        let result = rescale(weight, &self.axis, desired);
        result.map_err(|detail| detail.within("MinMaxNorm"))
    }
}
