//! Normal numbers.

use regraft_tensor::kernels::random::{self, Key};
use regraft_tensor::{Detail, Tensor};
use serde_json::Value;

use crate::InitializerFunction;
use crate::settings::{require_finite, require_rate};

settings! {
    /// Normal numbers: `mean + stddev · z`.
    ///
    /// Keras: <https://keras.io/api/layers/initializers/#randomnormal-class>. The numbers are this
    /// crate's own: the same for the same key, not those of Keras for the same seed.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct RandomNormal as "keras.initializers.RandomNormal" {
        /// Their mean; Keras' default is 0.
        pub mean: f32 = 0.0 => require_finite,
        /// Their standard deviation; Keras' default is 0.05.
        pub stddev: f32 = 0.05 => require_rate,
    }
    reading |settings, _it| {
        settings.ignore(&["seed", "dtype"]);
    }
    writing |_it, config| {
        config.shift_insert(0, "seed".to_string(), Value::Null);
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
