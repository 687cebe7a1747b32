//! A largest norm.

use regraft_tensor::{Detail, Tensor};

use super::norm::rescale;
use crate::ConstraintFunction;
use crate::settings::{axes, require_rate};

settings! {
    /// Scales down each part of a weight along `axis` whose norm (root of the sum of squares) is above
    /// `max_value`.
    ///
    /// For a dense kernel `(inputs, outputs)` axis 0 keeps the norm of what comes into each output; for
    /// a convolution's kernel that is `[0, 1, 2]`. Srivastava and others 2014
    /// (<https://jmlr.org/papers/v15/srivastava14a.html>); Keras:
    /// <https://keras.io/api/layers/constraints/#maxnorm-class>.
    #[derive(Clone, Debug, PartialEq)]
    pub struct MaxNorm as "keras.constraints.MaxNorm" {
        /// The largest norm; Keras' default is 2.
        pub max_value: f32 = 2.0 => require_rate,
        /// The axes that a norm is taken along; Keras' default is axis 0.
        pub axis: Vec<isize> = [0],
    }
    writing |it, config| {
        config["axis"] = axes(&it.axis);
    }
}

impl ConstraintFunction for MaxNorm {
    fn constrain(&self, weight: &mut Tensor) -> Result<(), Detail> {
        let result = rescale(weight, &self.axis, |norm| norm.min(self.max_value));
        result.map_err(|detail| detail.within("MaxNorm"))
    }
}
