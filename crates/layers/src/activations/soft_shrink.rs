//! `soft_shrink`.

use regraft_autograd::Var;

use super::piecewise_linear::{PiecewiseLinear, piecewise};
use crate::ActivationFunction;
use crate::settings::require_rate;

settings! {
    /// x − `threshold` where x > threshold, x + threshold where x < −threshold, else 0, in (−∞, ∞).
    ///
    /// Keras: <https://keras.io/api/layers/activations/#soft_shrink-function>.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct SoftShrink as "keras.activations.soft_shrink" or "regraft.activations.soft_shrink" {
        /// How much it shrinks; Keras' default is 0.5.
        pub threshold: f32 = 0.5 => require_rate,
    }
}

impl PiecewiseLinear for SoftShrink {
    const NAME: &'static str = "soft_shrink";
    const GRADIENT: &'static str = "soft_shrink_gradient";

    regraft_autograd::attributes!(threshold);

    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        x - x.clamp(-self.threshold, self.threshold)
    }

    #[inline(always)]
    fn slope(self, x: f32) -> f32 {
        if x.abs() > self.threshold { 1.0 } else { 0.0 }
    }
}

impl ActivationFunction for SoftShrink {
    fn apply<'g>(&self, x: Var<'g>) -> Var<'g> {
        piecewise(*self, x)
    }
}
