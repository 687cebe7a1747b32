//! `hard_tanh`.

use super::define::activation;
use super::piecewise_linear::{PiecewiseLinear, piecewise};

activation!(
    /// min(max(x, −1), 1), in [−1, 1].
    ///
    /// Keras: <https://keras.io/api/layers/activations/#hard_tanh-function>.
    HardTanh, "keras.activations.hard_tanh", |x| piecewise(HardTanh, x)
);

impl PiecewiseLinear for HardTanh {
    const NAME: &'static str = "hard_tanh";
    const GRADIENT: &'static str = "hard_tanh_gradient";

    regraft_autograd::attributes!();

    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        x.clamp(-1.0, 1.0)
    }

    #[inline(always)]
    fn slope(self, x: f32) -> f32 {
        if (-1.0..=1.0).contains(&x) { 1.0 } else { 0.0 }
    }
}
