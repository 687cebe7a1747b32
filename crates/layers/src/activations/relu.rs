//! `relu`.

use regraft_autograd::Var;

use crate::{ActivationFunction, Configured};

/// max(x, 0).
///
/// Keras: <https://keras.io/api/layers/activations/>.
#[derive(Clone, Copy, Debug, Default)]
pub struct Relu;

impl Configured for Relu {
    fn class_name(&self) -> &str {
        "relu"
    }

    fn module(&self) -> &str {
        "keras.activations"
    }
}

impl ActivationFunction for Relu {
    fn apply<'g>(&self, x: Var<'g>) -> Var<'g> {
        x.relu()
    }
}
