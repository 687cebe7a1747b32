//! What ELU, SELU and CELU are: a line, and below 0 an exponential that levels off.

use regraft_autograd::ops::{Map, Unary};
use regraft_autograd::{Var, attributes};
use regraft_tensor::kernels::math;

/// `scale · x` where x > 0, else `scale · alpha · (exp(x / width) − 1)`.
#[derive(Clone, Copy, Debug)]
pub(super) struct ExponentialLinear {
    /// The slope of the line.
    pub(super) scale: f32,
    /// How far below 0 the exponential goes, in units of the scale.
    pub(super) alpha: f32,
    /// How wide the exponential is.
    pub(super) width: f32,
}

impl Unary for ExponentialLinear {
    const NAME: &'static str = "exponential_linear";

    attributes!(scale, alpha, width);

    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        // expm1 of what is above 0 is not used, and must not be infinity.
        let exponential = self.alpha * math::expm1(x.min(0.0) / self.width);
        self.scale * if x > 0.0 { x } else { exponential }
    }

    /// The exponential again, from x: y + scale · alpha would cancel where it has levelled off. At
    /// 0, a kink of SELU, the slope is the line's, as in TensorFlow.
    fn gradient<'g>(self, x: Var<'g>, _y: Var<'g>, dy: Var<'g>) -> Var<'g> {
        let steepness = self.scale * self.alpha / self.width;
        let below = (x.minimum(0.0) / self.width).exp() * steepness;
        dy * x.greater_equal(0.0).select(self.scale, below)
    }
}

impl ExponentialLinear {
    /// Its value at `x`.
    pub(super) fn apply(self, x: Var<'_>) -> Var<'_> {
        x.graph().apply(Map(self), &[x])
    }
}
