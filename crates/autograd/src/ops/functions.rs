//! Differentiable functions of one number: exponentials, logarithms, powers, and those that
//! activations are made of.

use regraft_tensor::kernels::math;

use crate::ops::unary::unary;

unary!(
    /// eˣ.
    Exp, exp, |x| math::exp(x), |_x, y, dy| dy * y
);
unary!(
    /// The hyperbolic tangent.
    Tanh, tanh, |x| math::tanh(x), |_x, y, dy| dy * (1.0 - y * y)
);
unary!(
    /// 1 / (1 + e⁻ˣ).
    Sigmoid, sigmoid, |x| math::sigmoid(x), |_x, y, dy| dy * y * (1.0 - y)
);
unary!(
    /// x².
    Square, square, |x| x * x, |x, _y, dy| dy * x * 2.0
);
unary!(
    /// √x.
    Sqrt, sqrt, |x| x.sqrt(), |_x, y, dy| dy * 0.5 / y
);
