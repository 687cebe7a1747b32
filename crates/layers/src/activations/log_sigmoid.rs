//! `log_sigmoid`.

use regraft_autograd::ops::{Map, Unary};
use regraft_autograd::{Var, attributes};
use regraft_tensor::kernels::math;

use super::define::activation;

activation!(
    /// log(sigmoid(x)) = −log(1 + e⁻ˣ), in (−∞, 0), computed without forming the sigmoid.
    ///
    /// Keras: <https://keras.io/api/layers/activations/#log_sigmoid-function>.
    LogSigmoid, "keras.activations.log_sigmoid", |x| x.graph().apply(Map(LogSigmoid), &[x])
);

impl Unary for LogSigmoid {
    const NAME: &'static str = "log_sigmoid";

    attributes!();

    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        -math::softplus(-x)
    }

    fn gradient<'g>(self, x: Var<'g>, _y: Var<'g>, dy: Var<'g>) -> Var<'g> {
        dy * (-x).sigmoid()
    }
}
