//! The identity matrix.

use regraft_tensor::kernels::random::Key;
use regraft_tensor::{Detail, Tensor};

use crate::InitializerFunction;
use crate::settings::require_finite;

settings! {
    /// `gain` on the diagonal of a matrix, 0 elsewhere; the matrix need not be square.
    ///
    /// Keras: <https://keras.io/api/layers/initializers/#identity-class>. Keras forgets the gain when it
    /// saves a configuration; it is written here, and Keras reads it.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct Identity as "keras.initializers.Identity" {
        /// What stands on the diagonal; Keras' default is 1.
        pub gain: f32 = 1.0 => require_finite,
    }
}

impl InitializerFunction for Identity {
    fn initialize(&self, shape: &[usize], _key: Key) -> Result<Tensor, Detail> {
        let &[rows, columns] = shape else {
            let received = format!("{shape:?}");
            return Err(Detail::new("Identity", "the shape of a matrix", received));
        };
        let mut tensor = Tensor::zeros(shape);
        let values = tensor.as_mut_slice();
        for index in 0..rows.min(columns) {
            values[index * columns + index] = self.gain;
        }
        Ok(tensor)
    }
}
