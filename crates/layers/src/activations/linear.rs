//! `linear`.

use regraft_autograd::Var;

use crate::{ActivationFunction, Configured};

/// x itself.
///
/// Keras: <https://keras.io/api/layers/activations/>.
#[derive(Clone, Copy, Debug, Default)]
pub struct Linear;

impl Configured for Linear {
    fn class_name(&self) -> &str {
        "linear"
    }

    fn module(&self) -> &str {
        "keras.activations"
    }
}

impl ActivationFunction for Linear {
    fn apply<'g>(&self, x: Var<'g>) -> Var<'g> {
        x
    }
}
