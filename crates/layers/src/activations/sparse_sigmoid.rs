//! `sparse_sigmoid`.

use super::define::activation;
use super::piecewise_linear::{PiecewiseLinear, piecewise};

activation!(
    /// 0 where x ≤ −1, 1 where x ≥ 1, else (x + 1) / 2, in [0, 1].
    ///
    /// Keras: <https://keras.io/api/layers/activations/#sparse_sigmoid-function>.
    SparseSigmoid, "keras.activations.sparse_sigmoid", |x| piecewise(SparseSigmoid, x)
);

impl PiecewiseLinear for SparseSigmoid {
    const NAME: &'static str = "sparse_sigmoid";
    const GRADIENT: &'static str = "sparse_sigmoid_gradient";

    regraft_autograd::attributes!();

    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        (0.5 * (x + 1.0)).clamp(0.0, 1.0)
    }

    #[inline(always)]
    fn slope(self, x: f32) -> f32 {
        if x > -1.0 && x < 1.0 { 0.5 } else { 0.0 }
    }
}
