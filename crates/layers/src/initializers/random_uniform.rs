//! Uniform numbers.

use regraft_tensor::kernels::random::{self, Key};
use regraft_tensor::{Detail, Tensor};
use serde_json::{Map, Value, json};

use crate::settings::{self, FromSettings, Settings};
use crate::{Configured, InitializerFunction};

/// Numbers uniform in `[minval, maxval)`.
///
/// Keras: <https://keras.io/api/layers/initializers/#randomuniform-class>.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RandomUniform {
    /// The smallest; Keras' default is −0.05.
    pub minval: f32,
    /// What all are below; Keras' default is 0.05.
    pub maxval: f32,
}

impl Default for RandomUniform {
    fn default() -> Self {
        RandomUniform {
            minval: -0.05,
            maxval: 0.05,
        }
    }
}

impl Configured for RandomUniform {
    fn class_name(&self) -> &str {
        "RandomUniform"
    }

    fn module(&self) -> &str {
        "keras.initializers"
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([
            ("seed".to_string(), json!(null)),
            ("minval".to_string(), settings::number(self.minval)),
            ("maxval".to_string(), settings::number(self.maxval)),
        ])
    }

    fn check(&self) -> Result<(), Detail> {
        let range = (self.minval, self.maxval);
        let holds = range.0.is_finite() && range.1.is_finite() && range.0 <= range.1;
        settings::require(holds, "RandomUniform", "minval ≤ maxval", range)
    }
}

impl FromSettings for RandomUniform {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        let default = RandomUniform::default();
        settings.ignore(&["seed", "dtype"]);
        Ok(RandomUniform {
            minval: settings.number("minval", default.minval)?,
            maxval: settings.number("maxval", default.maxval)?,
        })
    }
}

impl InitializerFunction for RandomUniform {
    fn initialize(&self, shape: &[usize], key: Key) -> Result<Tensor, Detail> {
        let mut tensor = Tensor::zeros(shape);
        random::uniform(key, 0, tensor.as_mut_slice());
        let width = self.maxval - self.minval;
        for value in tensor.as_mut_slice() {
            *value = self.minval + width * *value;
        }
        Ok(tensor)
    }
}
