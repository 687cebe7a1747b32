//! Trigonometric and hyperbolic functions and their inverses, and roots.

use crate::ops::unary::unary;

unary!(
    /// The tangent of x radians.
    Tan, tan, |x| x.tan(), |_x, y, dy| dy * (y.square() + 1.0)
);
unary!(
    /// The angle in [−π/2, π/2] whose sine is x; NaN where |x| > 1.
    Arcsin, arcsin, |x| x.asin(), |x, _y, dy| dy * (1.0 - x.square()).rsqrt()
);
unary!(
    /// The angle in [0, π] whose cosine is x; NaN where |x| > 1.
    Arccos, arccos, |x| x.acos(), |x, _y, dy| -dy * (1.0 - x.square()).rsqrt()
);
unary!(
    /// The angle in (−π/2, π/2) whose tangent is x.
    Arctan, arctan, |x| x.atan(), |x, _y, dy| dy / (x.square() + 1.0)
);
unary!(
    /// The hyperbolic sine.
    Sinh, sinh, |x| x.sinh(), |x, _y, dy| dy * x.cosh()
);
unary!(
    /// The hyperbolic cosine.
    Cosh, cosh, |x| x.cosh(), |x, _y, dy| dy * x.sinh()
);
unary!(
    /// The number whose hyperbolic sine is x.
    Arcsinh, arcsinh, |x| x.asinh(), |x, _y, dy| dy * (x.square() + 1.0).rsqrt()
);
unary!(
    /// The number ≥ 0 whose hyperbolic cosine is x; NaN where x < 1.
    Arccosh, arccosh, |x| x.acosh(), |x, _y, dy| dy * (x.square() - 1.0).rsqrt()
);
unary!(
    /// The number whose hyperbolic tangent is x; NaN where |x| > 1.
    Arctanh, arctanh, |x| x.atanh(), |x, _y, dy| dy / (1.0 - x.square())
);
unary!(
    /// The cube root.
    Cbrt, cbrt, |x| x.cbrt(), |_x, y, dy| dy / (y.square() * 3.0)
);
