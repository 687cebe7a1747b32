//! Normal numbers within two standard deviations.

use regraft_tensor::kernels::random::{self, Key};
use regraft_tensor::{Detail, Tensor};
use serde_json::{Map, Value, json};

use crate::settings::{self, FromSettings, Settings};
use crate::{Configured, InitializerFunction};

/// Normal numbers within two standard deviations of their mean: `mean + stddev · z` for |z| ≤ 2.
///
/// What is cut off makes their own standard deviation 0.88 times `stddev`. Keras:
/// <https://keras.io/api/layers/initializers/#truncatednormal-class>.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TruncatedNormal {
    /// Their mean; Keras' default is 0.
    pub mean: f32,
    /// The standard deviation before the cut; Keras' default is 0.05.
    pub stddev: f32,
}

impl Default for TruncatedNormal {
    fn default() -> Self {
        TruncatedNormal {
            mean: 0.0,
            stddev: 0.05,
        }
    }
}

impl Configured for TruncatedNormal {
    fn class_name(&self) -> &str {
        "TruncatedNormal"
    }

    fn module(&self) -> &str {
        "keras.initializers"
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([
            ("seed".to_string(), json!(null)),
            ("mean".to_string(), settings::number(self.mean)),
            ("stddev".to_string(), settings::number(self.stddev)),
        ])
    }

    fn check(&self) -> Result<(), Detail> {
        settings::require_finite("TruncatedNormal.mean", self.mean)?;
        settings::require_rate("TruncatedNormal.stddev", self.stddev)
    }
}

impl FromSettings for TruncatedNormal {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        let default = TruncatedNormal::default();
        settings.ignore(&["seed", "dtype"]);
        Ok(TruncatedNormal {
            mean: settings.number("mean", default.mean)?,
            stddev: settings.number("stddev", default.stddev)?,
        })
    }
}

impl InitializerFunction for TruncatedNormal {
    fn initialize(&self, shape: &[usize], key: Key) -> Result<Tensor, Detail> {
        let mut tensor = Tensor::zeros(shape);
        random::truncated_normal(key, 0, tensor.as_mut_slice());
        for value in tensor.as_mut_slice() {
            *value = self.mean + self.stddev * *value;
        }
        Ok(tensor)
    }
}
