//! Norm 1.

use regraft_tensor::{Detail, Tensor};

use super::norm::rescale;
use crate::ConstraintFunction;
use crate::settings::axes;

settings! {
    /// Scales each part of a weight along `axis` to norm 1 (a part of zeros stays as it is).
    ///
    /// Keras: <https://keras.io/api/layers/constraints/#unitnorm-class>.
    #[derive(Clone, Debug, PartialEq)]
    pub struct UnitNorm as "keras.constraints.UnitNorm" {
        /// The axes that a norm is taken along; Keras' default is axis 0.
        pub axis: Vec<isize> = [0],
    }
    writing |it, config| {
        config["axis"] = axes(&it.axis);
    }
}

impl ConstraintFunction for UnitNorm {
    fn constrain(&self, weight: &mut Tensor) -> Result<(), Detail> {
        let result = rescale(weight, &self.axis, |_norm| 1.0);
        result.map_err(|detail| detail.within("UnitNorm"))
    }
}
