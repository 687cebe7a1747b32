//! Differentiable functions of one number: exponentials, logarithms, powers, and those that
//! activations are made of.

use std::f32::consts::FRAC_2_SQRT_PI;

use regraft_tensor::kernels::math;

use crate::ops::unary::unary;
use crate::ops::{Map, Unary};
use crate::{Var, attributes};

/// √π / 2.
const HALF_SQRT_PI: f32 = 1.0 / FRAC_2_SQRT_PI;

unary!(
    /// eˣ.
    Exp, exp, |x| math::exp(x), |_x, y, dy| dy * y
);
unary!(
    /// eˣ − 1, exact for small x.
    Expm1, expm1, |x| math::expm1(x), |_x, y, dy| dy * (y + 1.0)
);
unary!(
    /// The natural logarithm.
    Log, log, |x| math::ln(x), |x, _y, dy| dy / x
);
unary!(
    /// The natural logarithm of 1 + x, exact for small x.
    Log1p, log1p, |x| math::log1p(x), |x, _y, dy| dy / (x + 1.0)
);
unary!(
    /// The hyperbolic tangent.
    Tanh, tanh, |x| math::tanh(x), |_x, y, dy| dy * (1.0 - y.square()), epilogue Tanh
);
unary!(
    /// 1 / (1 + e⁻ˣ).
    Sigmoid, sigmoid, |x| math::sigmoid(x), |_x, y, dy| dy * y * (1.0 - y),
    epilogue Sigmoid
);
unary!(
    /// log(1 + eˣ), finite for every finite x.
    Softplus, softplus, |x| math::softplus(x), |x, _y, dy| dy * x.sigmoid()
);
unary!(
    /// The error function: 2/√π · ∫₀ˣ e^(−t²) dt.
    Erf, erf, |x| math::erf(x), |x, _y, dy| dy * (-x.square()).exp() * FRAC_2_SQRT_PI
);
unary!(
    /// The number whose [error function](Erf) is x; ±∞ at ±1, NaN beyond.
    Erfinv, erfinv, |x| math::erfinv(x), |_x, y, dy| dy * y.square().exp() * HALF_SQRT_PI
);
unary!(
    /// The sine of x radians.
    Sin, sin, |x| math::sin(x), |x, _y, dy| dy * x.cos()
);
unary!(
    /// The cosine of x radians.
    Cos, cos, |x| math::cos(x), |x, _y, dy| -dy * x.sin()
);
unary!(
    /// |x|; its gradient at 0 is 0.
    Abs, abs, |x| x.abs(), |x, _y, dy| dy * x.sign()
);
unary!(
    /// x².
    Square, square, |x| x * x, |x, _y, dy| dy * x * 2.0
);
unary!(
    /// √x.
    Sqrt, sqrt, |x| x.sqrt(), |_x, y, dy| dy * 0.5 / y
);
unary!(
    /// 1 / √x.
    Rsqrt, rsqrt, |x| 1.0 / x.sqrt(), |x, y, dy| dy * y / x * -0.5
);
unary!(
    /// 1 / x.
    Reciprocal, reciprocal, |x| 1.0 / x, |_x, y, dy| -dy * y * y
);

/// x to a fixed power; NaN where x is negative and the power is not a whole number.
#[derive(Clone, Copy, Debug)]
pub struct Powf {
    /// The power.
    pub exponent: f32,
}

impl Unary for Powf {
    const NAME: &'static str = "powf";

    attributes!(exponent);

    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        math::pow(x, self.exponent)
    }

    fn gradient<'g>(self, x: Var<'g>, _y: Var<'g>, dy: Var<'g>) -> Var<'g> {
        match self.exponent {
            // Written out because 0 · 0⁻¹ is not 0.
            0.0 => dy * 0.0,
            exponent => dy * x.powf(exponent - 1.0) * exponent,
        }
    }
}

impl<'g> Var<'g> {
    /// Every element to the power `exponent`; NaN where an element is negative and the exponent is
    /// not a whole number.
    pub fn powf(self, exponent: f32) -> Var<'g> {
        self.graph().apply(Map(Powf { exponent }), &[self])
    }
}
