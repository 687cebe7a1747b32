//! Activations that a matrix product can apply to its result in one pass with it, and which are
//! therefore ops of their own rather than formulas.

use std::f32::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

use regraft_tensor::kernels::math;
use regraft_tensor::kernels::matmul::EpilogueActivation;

use crate::ops::unary::unary;
use crate::ops::{Binary, Map, Unary, Zip};
use crate::{Gradient, Var, attributes};

unary!(
    /// x · sigmoid(x), also known as swish.
    Silu, silu, |x| math::silu(x), |x, _y, dy| dy.graph().apply(Zip(SiluGradient), &[dy, x]),
    epilogue Silu
);
unary!(
    /// x · Φ(x), where Φ is the distribution function of the standard normal distribution
    /// (Hendrycks, Gimpel: "Gaussian error linear units").
    Gelu, gelu, |x| math::gelu(x), |x, _y, dy| {
        let distribution = (x * FRAC_1_SQRT_2).erf() * 0.5 + 0.5;
        let density = (x.square() * -0.5).exp() * (0.5 * FRAC_1_SQRT_2 * FRAC_2_SQRT_PI);
        dy * (distribution + x * density)
    }, epilogue Gelu
);
unary!(
    /// The approximation of [`gelu`](Var::gelu) by a hyperbolic tangent:
    /// x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³))).
    GeluTanh, gelu_tanh, |x| math::gelu_tanh(x), |x, _y, dy| {
        const SCALE: f32 = FRAC_1_SQRT_2 * FRAC_2_SQRT_PI;
        const CUBIC: f32 = 0.044_715;
        let square = x.square();
        let t = (x * SCALE * (square * CUBIC + 1.0)).tanh();
        let slope = (square * (3.0 * CUBIC) + 1.0) * SCALE;
        dy * 0.5 * (t + 1.0 + x * (1.0 - t.square()) * slope)
    }, epilogue GeluTanh
);

/// dy · s · (1 + x · (1 − s)) with s = sigmoid(x): `(dy, x) → dx`, in one pass.
#[derive(Clone, Copy, Debug)]
pub struct SiluGradient;

impl Binary for SiluGradient {
    const NAME: &'static str = "silu_gradient";

    attributes!();

    #[inline(always)]
    fn value(self, dy: f32, x: f32) -> f32 {
        let s = math::sigmoid(x);
        dy * (s * (1.0 + x * (1.0 - s)))
    }

    fn gradient<'g>(self, at: &Gradient<'g, '_>) -> [Option<Var<'g>>; 2] {
        let mut gradients = at.through(|operands| {
            let (dy, x) = (operands[0], operands[1]);
            let s = x.sigmoid();
            dy * (s * (1.0 + x * (1.0 - s)))
        });
        let of_x = gradients.pop().flatten();
        [gradients.pop().flatten(), of_x]
    }
}

/// x where x > 0, else `slope` · x.
#[derive(Clone, Copy, Debug)]
pub struct LeakyRelu {
    /// The slope of the negative part.
    pub slope: f32,
}

impl Unary for LeakyRelu {
    const NAME: &'static str = "leaky_relu";

    attributes!(slope);

    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        math::leaky_relu(x, self.slope)
    }

    fn gradient<'g>(self, x: Var<'g>, _y: Var<'g>, dy: Var<'g>) -> Var<'g> {
        x.greater(0.0).select(dy, dy * self.slope)
    }

    fn epilogue(self) -> Option<EpilogueActivation> {
        Some(EpilogueActivation::LeakyRelu(self.slope))
    }
}

impl<'g> Var<'g> {
    /// x where x > 0, else `slope` · x; its gradient at 0 is `slope`.
    pub fn leaky_relu(self, slope: f32) -> Var<'g> {
        self.graph().apply(Map(LeakyRelu { slope }), &[self])
    }

    /// a · sigmoid(b), where a and b are the halves of this value along `axis` (Dauphin, Fan, Auli,
    /// Grangier: "Language modeling with gated convolutional networks"). The axis must have a fixed
    /// even size.
    pub fn glu(self, axis: usize) -> Var<'g> {
        let size = match self.shape().dims().get(axis) {
            Some(crate::Dim::Fixed(size)) if size % 2 == 0 => *size,
            _ => {
                let expected = format!("an axis {axis} of even size");
                return self.refuse("glu", expected);
            }
        };
        self.slice(axis, 0..size / 2) * self.slice(axis, size / 2..size).sigmoid()
    }
}
