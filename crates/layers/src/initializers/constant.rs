//! One value everywhere.

use regraft_tensor::kernels::random::Key;
use regraft_tensor::{Detail, Tensor};
use serde_json::{Map, Value};

use crate::settings::{self, FromSettings, Settings};
use crate::{Configured, InitializerFunction};

/// `value` everywhere. Keras: <https://keras.io/api/layers/initializers/#constant-class>.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Constant {
    /// The value; Keras' default is 0.
    pub value: f32,
}

/// Zero everywhere. Keras: <https://keras.io/api/layers/initializers/#zeros-class>.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Zeros;

/// One everywhere. Keras: <https://keras.io/api/layers/initializers/#ones-class>.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ones;

impl Configured for Constant {
    fn class_name(&self) -> &str {
        "Constant"
    }

    fn module(&self) -> &str {
        "keras.initializers"
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([("value".to_string(), settings::number(self.value))])
    }

    fn check(&self) -> Result<(), Detail> {
        settings::require_finite("Constant.value", self.value)
    }
}

impl FromSettings for Constant {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        let value = settings.number("value", 0.0)?;
        Ok(Constant { value })
    }
}

impl InitializerFunction for Constant {
    fn initialize(&self, shape: &[usize], _key: Key) -> Result<Tensor, Detail> {
        Ok(Tensor::full(shape, self.value))
    }
}

impl Configured for Zeros {
    fn class_name(&self) -> &str {
        "Zeros"
    }

    fn module(&self) -> &str {
        "keras.initializers"
    }
}

impl FromSettings for Zeros {
    fn from_settings(_settings: &Settings<'_>) -> Result<Self, Detail> {
        Ok(Zeros)
    }
}

impl InitializerFunction for Zeros {
    fn initialize(&self, shape: &[usize], _key: Key) -> Result<Tensor, Detail> {
        Ok(Tensor::zeros(shape))
    }
}

impl Configured for Ones {
    fn class_name(&self) -> &str {
        "Ones"
    }

    fn module(&self) -> &str {
        "keras.initializers"
    }
}

impl FromSettings for Ones {
    fn from_settings(_settings: &Settings<'_>) -> Result<Self, Detail> {
        Ok(Ones)
    }
}

impl InitializerFunction for Ones {
    fn initialize(&self, shape: &[usize], _key: Key) -> Result<Tensor, Detail> {
        Ok(Tensor::full(shape, 1.0))
    }
}
