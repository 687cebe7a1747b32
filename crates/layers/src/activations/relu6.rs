//! `relu6`.

use regraft_tensor::kernels::math;
use regraft_tensor::kernels::matmul::EpilogueActivation;

use super::define::activation;
use super::piecewise_linear::{PiecewiseLinear, piecewise};

activation!(
    /// min(max(x, 0), 6), in [0, 6].
    ///
    /// Krizhevsky 2010 (<https://www.cs.utoronto.ca/~kriz/conv-cifar10-aug2010.pdf>);
    /// Keras: <https://keras.io/api/layers/activations/#relu6-function>.
    Relu6, "keras.activations.relu6", |x| piecewise(Relu6, x)
);

impl PiecewiseLinear for Relu6 {
    const NAME: &'static str = "relu6";
    const GRADIENT: &'static str = "relu6_gradient";

    regraft_autograd::attributes!();

    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        math::relu6(x)
    }

    #[inline(always)]
    fn slope(self, x: f32) -> f32 {
        if x > 0.0 && x < 6.0 { 1.0 } else { 0.0 }
    }

    const SLOPE_OF_VALUE: bool = true;

    fn epilogue(self) -> Option<EpilogueActivation> {
        Some(EpilogueActivation::Relu6)
    }
}
