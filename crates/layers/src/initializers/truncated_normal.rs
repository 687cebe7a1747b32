//! Normal numbers within two standard deviations.

use regraft_tensor::kernels::random::{self, Key};
use regraft_tensor::{Detail, Tensor};
use serde_json::Value;

use crate::InitializerFunction;
use crate::settings::{require_finite, require_rate};

settings! {
    /// Normal numbers within two standard deviations of their mean: `mean + stddev · z` for |z| ≤ 2.
    ///
    /// What is cut off makes their own standard deviation 0.88 times `stddev`. Keras:
    /// <https://keras.io/api/layers/initializers/#truncatednormal-class>.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct TruncatedNormal as "keras.initializers.TruncatedNormal" {
        /// Their mean; Keras' default is 0.
        pub mean: f32 = 0.0 => require_finite,
        /// The standard deviation before the cut; Keras' default is 0.05.
        pub stddev: f32 = 0.05 => require_rate,
    }
    reading |settings, _it| {
        settings.ignore(&["seed", "dtype"]);
    }
    writing |_it, config| {
        config.shift_insert(0, "seed".to_string(), Value::Null);
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
