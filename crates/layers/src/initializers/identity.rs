//! The identity matrix.

use regraft_tensor::kernels::random::Key;
use regraft_tensor::{Detail, Tensor};
use serde_json::{Map, Value};

use crate::settings::{self, FromSettings, Settings};
use crate::{Configured, InitializerFunction};

/// `gain` on the diagonal of a matrix, 0 elsewhere; the matrix need not be square.
///
/// Keras: <https://keras.io/api/layers/initializers/#identity-class>. Keras forgets the gain when it
/// saves a configuration; it is written here, and Keras reads it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Identity {
    /// What stands on the diagonal; Keras' default is 1.
    pub gain: f32,
}

impl Default for Identity {
    fn default() -> Self {
        Identity { gain: 1.0 }
    }
}

impl Configured for Identity {
    fn class_name(&self) -> &str {
        "Identity"
    }

    fn module(&self) -> &str {
        "keras.initializers"
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([("gain".to_string(), settings::number(self.gain))])
    }

    fn check(&self) -> Result<(), Detail> {
        settings::require_finite("Identity.gain", self.gain)
    }
}

impl FromSettings for Identity {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        let gain = settings.number("gain", Identity::default().gain)?;
        Ok(Identity { gain })
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
