//! `hard_sigmoid`.

use super::define::activation;
use super::piecewise_linear::{PiecewiseLinear, piecewise};

activation!(
    /// min(max(x / 6 + 1/2, 0), 1), in [0, 1]: `sigmoid` made of straight pieces.
    ///
    /// Keras 2 had x / 5 + 1/2 ([`Keras2HardSigmoid`](super::Keras2HardSigmoid)). Keras:
    /// <https://keras.io/api/layers/activations/#hard_sigmoid-function>.
    HardSigmoid, "keras.activations.hard_sigmoid", |x| piecewise(HardSigmoid, x)
);

impl PiecewiseLinear for HardSigmoid {
    const NAME: &'static str = "hard_sigmoid";
    const GRADIENT: &'static str = "hard_sigmoid_gradient";

    regraft_autograd::attributes!();

    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        (x + 3.0).clamp(0.0, 6.0) / 6.0
    }

    #[inline(always)]
    fn slope(self, x: f32) -> f32 {
        if x > -3.0 && x < 3.0 { 1.0 / 6.0 } else { 0.0 }
    }
}
