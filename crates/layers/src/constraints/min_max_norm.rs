//! A smallest and a largest norm.

use regraft_tensor::{Detail, Tensor};

use super::norm::rescale;
use crate::ConstraintFunction;
use crate::settings::{axes, require, require_share};

settings! {
    /// Scales each part of a weight along `axis` so that its norm comes within `min_value` and
    /// `max_value`: wholly, or by the share `rate` of the way.
    ///
    /// Keras: <https://keras.io/api/layers/constraints/#minmaxnorm-class>.
    #[derive(Clone, Debug, PartialEq)]
    pub struct MinMaxNorm as "keras.constraints.MinMaxNorm" {
        /// The smallest norm; Keras' default is 0.
        pub min_value: f32 = 0.0,
        /// The largest norm; Keras' default is 1.
        pub max_value: f32 = 1.0,
        /// How much of the way each step goes, in 0..=1; Keras' default is 1.
        pub rate: f32 = 1.0 => require_share,
        /// The axes that a norm is taken along; Keras' default is axis 0.
        pub axis: Vec<isize> = [0],
    }
    writing |it, config| {
        config["axis"] = axes(&it.axis);
    }
    checking |it| {
        let range = (it.min_value, it.max_value);
        let holds = range.0 >= 0.0 && range.0 <= range.1 && range.1.is_finite();
        require(holds, "MinMaxNorm", "0 ≤ min_value ≤ max_value", range)
    }
}

impl ConstraintFunction for MinMaxNorm {
    fn constrain(&self, weight: &mut Tensor) -> Result<(), Detail> {
        let desired = |norm: f32| {
            let within = norm.clamp(self.min_value, self.max_value);
            self.rate * within + (1.0 - self.rate) * norm
        };
        let result = rescale(weight, &self.axis, desired);
        result.map_err(|detail| detail.within("MinMaxNorm"))
    }
}
