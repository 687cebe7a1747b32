//! `softmax`.

use regraft_autograd::Var;

use crate::{ActivationFunction, Configured};

/// exp(x) / Σ exp(x) over the last axis.
///
/// Keras: <https://keras.io/api/layers/activations/>.
#[derive(Clone, Copy, Debug, Default)]
pub struct Softmax;

impl Configured for Softmax {
    fn class_name(&self) -> &str {
        "softmax"
    }

    fn module(&self) -> &str {
        "keras.activations"
    }
}

impl ActivationFunction for Softmax {
    fn apply<'g>(&self, x: Var<'g>) -> Var<'g> {
        x.softmax()
    }
}
