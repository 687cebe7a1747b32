//! One value everywhere.

use regraft_tensor::kernels::random::Key;
use regraft_tensor::{Detail, Tensor};

use crate::InitializerFunction;
use crate::settings::require_finite;

settings! {
    /// `value` everywhere. Keras: <https://keras.io/api/layers/initializers/#constant-class>.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct Constant as "keras.initializers.Constant" {
        /// The value; Keras' default is 0.
        pub value: f32 = 0.0 => require_finite,
    }
}

settings! {
    /// Zero everywhere. Keras: <https://keras.io/api/layers/initializers/#zeros-class>.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Zeros as "keras.initializers.Zeros";
}

settings! {
    /// One everywhere. Keras: <https://keras.io/api/layers/initializers/#ones-class>.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Ones as "keras.initializers.Ones";
}

impl InitializerFunction for Constant {
    fn initialize(&self, shape: &[usize], _key: Key) -> Result<Tensor, Detail> {
        Ok(Tensor::full(shape, self.value))
    }
}

impl InitializerFunction for Zeros {
    fn initialize(&self, shape: &[usize], _key: Key) -> Result<Tensor, Detail> {
        Ok(Tensor::zeros(shape))
    }
}

impl InitializerFunction for Ones {
    fn initialize(&self, shape: &[usize], _key: Key) -> Result<Tensor, Detail> {
        Ok(Tensor::full(shape, 1.0))
    }
}
