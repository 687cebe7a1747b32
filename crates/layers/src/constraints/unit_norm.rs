//! Norm 1.

use regraft_tensor::{Detail, Tensor};
use serde_json::{Map, Value};

use super::norm::rescale;
use crate::settings::{self, FromSettings, Settings};
use crate::{Configured, ConstraintFunction};

/// Scales each part of a weight along `axis` to norm 1 (a part of zeros stays as it is).
///
/// Keras: <https://keras.io/api/layers/constraints/#unitnorm-class>.
#[derive(Clone, Debug, PartialEq)]
pub struct UnitNorm {
    /// The axes that a norm is taken along; Keras' default is axis 0.
    pub axis: Vec<isize>,
}

impl Default for UnitNorm {
    fn default() -> Self {
        UnitNorm { axis: vec![0] }
    }
}

impl Configured for UnitNorm {
    fn class_name(&self) -> &str {
        "UnitNorm"
    }

    fn module(&self) -> &str {
        "keras.constraints"
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([("axis".to_string(), settings::axes(&self.axis))])
    }
}

impl FromSettings for UnitNorm {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        let axis = settings.axes("axis")?;
        Ok(UnitNorm {
            axis: axis.unwrap_or(UnitNorm::default().axis),
        })
    }
}

impl ConstraintFunction for UnitNorm {
    fn constrain(&self, weight: &mut Tensor) -> Result<(), Detail> {
        let result = rescale(weight, &self.axis, |_norm| 1.0);
        result.map_err(|detail| detail.within("UnitNorm"))
    }
}
