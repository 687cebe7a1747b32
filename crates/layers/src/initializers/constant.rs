//! One value everywhere.

use regraft_tensor::kernels::random::Key;
use regraft_tensor::{Detail, Tensor};
use serde_json::{Map, Value};

use crate::{Configured, InitializerFunction};

/// `value` everywhere. Keras: <https://keras.io/api/layers/initializers/#constant-class>.
#[derive(Clone, Copy, Debug)]
pub struct Constant {
    /// The value.
    pub value: f32,
}

/// Zero everywhere.
#[derive(Clone, Copy, Debug)]
pub struct Zeros;

/// One everywhere.
#[derive(Clone, Copy, Debug)]
pub struct Ones;

impl Configured for Constant {
    fn class_name(&self) -> &str {
        "Constant"
    }

    fn module(&self) -> &str {
        "keras.initializers"
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([("value".to_string(), self.value.into())])
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

impl InitializerFunction for Ones {
    fn initialize(&self, shape: &[usize], _key: Key) -> Result<Tensor, Detail> {
        Ok(Tensor::full(shape, 1.0))
    }
}
