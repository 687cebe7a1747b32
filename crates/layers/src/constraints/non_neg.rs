//! No negative weights.

use regraft_tensor::Tensor;

use crate::{Configured, ConstraintFunction};

/// Negative weights become 0. Keras: <https://keras.io/api/layers/constraints/>.
#[derive(Clone, Copy, Debug)]
pub struct NonNeg;

impl Configured for NonNeg {
    fn class_name(&self) -> &str {
        "NonNeg"
    }

    fn module(&self) -> &str {
        "keras.constraints"
    }
}

impl ConstraintFunction for NonNeg {
    fn constrain(&self, weight: &mut Tensor) {
        for value in weight.as_mut_slice() {
            *value = value.max(0.0);
        }
    }
}
