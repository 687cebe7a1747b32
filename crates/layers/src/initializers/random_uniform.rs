//! Uniform numbers.

use regraft_tensor::kernels::random::{self, Key};
use regraft_tensor::{Detail, Tensor};
use serde_json::Value;

use crate::InitializerFunction;
use crate::settings::require;

settings! {
    /// Numbers uniform in `[minval, maxval)`.
    ///
    /// Keras: <https://keras.io/api/layers/initializers/#randomuniform-class>.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct RandomUniform as "keras.initializers.RandomUniform" {
        /// The smallest; Keras' default is −0.05.
        pub minval: f32 = -0.05,
        /// What all are below; Keras' default is 0.05.
        pub maxval: f32 = 0.05,
    }
    reading |settings, _it| {
        settings.ignore(&["seed", "dtype"]);
    }
    writing |_it, config| {
        config.shift_insert(0, "seed".to_string(), Value::Null);
    }
    checking |it| {
        let range = (it.minval, it.maxval);
        let holds = range.0.is_finite() && range.1.is_finite() && range.0 <= range.1;
        require(holds, "RandomUniform", "minval ≤ maxval", range)
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
