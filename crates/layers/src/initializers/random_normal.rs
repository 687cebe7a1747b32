//! Normal numbers.

use regraft_tensor::kernels::random::{self, Key};
use regraft_tensor::{Detail, Tensor};
use serde_json::{Map, Value, json};

use crate::settings::{self, FromSettings, Settings};
use crate::{Configured, InitializerFunction};

/// Normal numbers: `mean + stddev · z`.
///
/// Keras: <https://keras.io/api/layers/initializers/#randomnormal-class>. The numbers are this
/// crate's own: the same for the same key, not those of Keras for the same seed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RandomNormal {
    /// Their mean; Keras' default is 0.
    pub mean: f32,
    /// Their standard deviation; Keras' default is 0.05.
    pub stddev: f32,
}

impl Default for RandomNormal {
    fn default() -> Self {
        RandomNormal {
            mean: 0.0,
            stddev: 0.05,
        }
    }
}

impl Configured for RandomNormal {
    fn class_name(&self) -> &str {
        "RandomNormal"
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
        settings::require_finite("RandomNormal.mean", self.mean)?;
        settings::require_rate("RandomNormal.stddev", self.stddev)
    }
}

impl FromSettings for RandomNormal {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        let default = RandomNormal::default();
        settings.ignore(&["seed", "dtype"]);
        Ok(RandomNormal {
            mean: settings.number("mean", default.mean)?,
            stddev: settings.number("stddev", default.stddev)?,
        })
    }
}

impl InitializerFunction for RandomNormal {
    fn initialize(&self, shape: &[usize], key: Key) -> Result<Tensor, Detail> {
        let mut tensor = Tensor::zeros(shape);
        random::normal(key, 0, tensor.as_mut_slice());
        for value in tensor.as_mut_slice() {
            *value = self.mean + self.stddev * *value;
        }
        Ok(tensor)
    }
}
