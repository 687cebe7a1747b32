//! A largest norm.

use regraft_tensor::{Detail, Tensor};
use serde_json::{Map, Value};

use super::norm::rescale;
use crate::settings::{self, FromSettings, Settings};
use crate::{Configured, ConstraintFunction};

/// Scales down each part of a weight along `axis` whose norm (root of the sum of squares) is above
/// `max_value`.
///
/// For a dense kernel `(inputs, outputs)` axis 0 keeps the norm of what comes into each output; for
/// a convolution's kernel that is `[0, 1, 2]`. Srivastava and others 2014
/// (<https://jmlr.org/papers/v15/srivastava14a.html>); Keras:
/// <https://keras.io/api/layers/constraints/#maxnorm-class>.
#[derive(Clone, Debug, PartialEq)]
pub struct MaxNorm {
    /// The largest norm; Keras' default is 2.
    pub max_value: f32,
    /// The axes that a norm is taken along; Keras' default is axis 0.
    pub axis: Vec<isize>,
}

impl Default for MaxNorm {
    fn default() -> Self {
        MaxNorm {
            max_value: 2.0,
            axis: vec![0],
        }
    }
}

impl Configured for MaxNorm {
    fn class_name(&self) -> &str {
        "MaxNorm"
    }

    fn module(&self) -> &str {
        "keras.constraints"
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([
            ("max_value".to_string(), settings::number(self.max_value)),
            ("axis".to_string(), settings::axes(&self.axis)),
        ])
    }

    fn check(&self) -> Result<(), Detail> {
        settings::require_rate("MaxNorm.max_value", self.max_value)
    }
}

impl FromSettings for MaxNorm {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        let default = MaxNorm::default();
        Ok(MaxNorm {
            max_value: settings.number("max_value", default.max_value)?,
            axis: settings.axes("axis")?.unwrap_or(default.axis),
        })
    }
}

impl ConstraintFunction for MaxNorm {
    fn constrain(&self, weight: &mut Tensor) -> Result<(), Detail> {
        let result = rescale(weight, &self.axis, |norm| norm.min(self.max_value));
        result.map_err(|detail| detail.within("MaxNorm"))
    }
}
