//! `hard_sigmoid` as Keras 2 has it.

use super::define::activation;
use super::piecewise_linear::{PiecewiseLinear, piecewise};

activation!(
    /// min(max(x / 5 + 1/2, 0), 1), in [0, 1]: what `hard_sigmoid` means in files of Keras 1 and 2; Keras 3
    /// has another slope ([`HardSigmoid`](super::HardSigmoid)) and no name for this one, so that it refuses
    /// a file with it instead of computing something else.
    ///
    /// tf_keras: <https://www.tensorflow.org/api_docs/python/tf/keras/activations/hard_sigmoid>.
    Keras2HardSigmoid, "keras.activations.keras2_hard_sigmoid", |x| piecewise(Keras2HardSigmoid, x)
);

impl PiecewiseLinear for Keras2HardSigmoid {
    const NAME: &'static str = "keras2_hard_sigmoid";
    const GRADIENT: &'static str = "keras2_hard_sigmoid_gradient";

    regraft_autograd::attributes!();

    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        (0.2 * x + 0.5).clamp(0.0, 1.0)
    }

    #[inline(always)]
    fn slope(self, x: f32) -> f32 {
        if x > -2.5 && x < 2.5 { 0.2 } else { 0.0 }
    }
}
