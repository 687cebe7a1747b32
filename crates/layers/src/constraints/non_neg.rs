//! No negative weights.

use regraft_tensor::{Detail, Tensor};

use crate::ConstraintFunction;

settings! {
    /// Negative weights become 0. Keras: <https://keras.io/api/layers/constraints/#nonneg-class>.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct NonNeg as "keras.constraints.NonNeg";
}

impl ConstraintFunction for NonNeg {
    fn constrain(&self, weight: &mut Tensor) -> Result<(), Detail> {
        for value in weight.as_mut_slice() {
            // Not `max`, which would make 0 of NaN and hide that training failed.
            if *value < 0.0 {
                *value = 0.0;
            }
        }
        Ok(())
    }
}
