//! `relu`.

use regraft_autograd::Var;

use super::Relu6;
use super::piecewise_linear::{PiecewiseLinear, piecewise};
use crate::ActivationFunction;
use crate::settings::{require_finite, require_rate};

settings! {
    /// max(x, 0) with the defaults, in [0, ∞).
    ///
    /// In full: x where x > `threshold` (kept within 0 and `max_value`, if there is one), else
    /// `negative_slope` · (x − threshold). Nair and Hinton 2010; Keras:
    /// <https://keras.io/api/layers/activations/#relu-function>.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct Relu as "keras.activations.relu" or "keras.layers.ReLU" {
        /// The slope below the threshold; Keras' default is 0.
        pub negative_slope: f32 = 0.0 => require_rate,
        /// The largest value; Keras' default is none.
        pub max_value: Option<f32> = None => require_rate,
        /// Where it begins; Keras' default is 0.
        pub threshold: f32 = 0.0 => require_finite,
    }
}

impl PiecewiseLinear for Relu {
    const NAME: &'static str = "relu_with_settings";
    const GRADIENT: &'static str = "relu_with_settings_gradient";

    regraft_autograd::attributes!(negative_slope, max_value, threshold);

    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        if x > self.threshold {
            match self.max_value {
                Some(max_value) => x.clamp(0.0, max_value),
                None => x,
            }
        } else if self.negative_slope == 0.0 && x <= self.threshold {
            // Not by the formula, which gives NaN where x is infinite.
            0.0
        } else {
            self.negative_slope * (x - self.threshold)
        }
    }

    #[inline(always)]
    fn slope(self, x: f32) -> f32 {
        let bounded = self.max_value.is_some_and(|max| x < 0.0 || x > max);
        if x > self.threshold {
            if bounded { 0.0 } else { 1.0 }
        } else if x < self.threshold {
            self.negative_slope
        } else {
            0.0
        }
    }
}

impl ActivationFunction for Relu {
    fn apply<'g>(&self, x: Var<'g>) -> Var<'g> {
        match (self.max_value, self.threshold == 0.0) {
            (None, true) if self.negative_slope == 0.0 => x.relu(),
            (None, true) => x.leaky_relu(self.negative_slope),
            // As Keras has it, also where the slope is not defined.
            (Some(6.0), true) if self.negative_slope == 0.0 => piecewise(Relu6, x),
            _ => piecewise(*self, x),
        }
    }
}
