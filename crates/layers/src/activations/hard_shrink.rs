//! `hard_shrink`.

use regraft_autograd::Var;

use super::piecewise_linear::{PiecewiseLinear, piecewise};
use crate::ActivationFunction;
use crate::settings::require_rate;

settings! {
    /// x where |x| > `threshold`, else 0, in (−∞, ∞).
    ///
    /// Keras: <https://keras.io/api/layers/activations/#hard_shrink-function>.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct HardShrink as "keras.activations.hard_shrink" or "regraft.activations.hard_shrink" {
        /// The largest magnitude that becomes 0; Keras' default is 0.5.
        pub threshold: f32 = 0.5 => require_rate,
    }
}

impl PiecewiseLinear for HardShrink {
    const NAME: &'static str = "hard_shrink";
    const GRADIENT: &'static str = "hard_shrink_gradient";

    regraft_autograd::attributes!(threshold);

    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        x * self.slope(x)
    }

    #[inline(always)]
    fn slope(self, x: f32) -> f32 {
        if x.abs() > self.threshold { 1.0 } else { 0.0 }
    }
}

impl ActivationFunction for HardShrink {
    fn apply<'g>(&self, x: Var<'g>) -> Var<'g> {
        piecewise(*self, x)
    }
}
