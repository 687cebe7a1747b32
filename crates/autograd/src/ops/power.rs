//! One value to the power of another, element by element.

use regraft_tensor::kernels::math;

use crate::ops::{Binary, IntoVar, Zip};
use crate::{Gradient, Var, attributes};

/// aᵇ; NaN where a is negative and b is not a whole number.
#[derive(Clone, Copy, Debug)]
pub struct Power;

impl Binary for Power {
    const NAME: &'static str = "power";

    attributes!();

    #[inline(always)]
    fn value(self, a: f32, b: f32) -> f32 {
        math::pow(a, b)
    }

    /// With respect to b it is 0 where a is not positive, as in TensorFlow: there the function has
    /// no derivative, and 0ᵇ = 0 for all positive b.
    fn gradient<'g>(self, at: &Gradient<'g, '_>) -> [Option<Var<'g>>; 2] {
        let (a, b, y, dy) = (at.operand(0), at.operand(1), at.result(), at.cotangent());
        [
            at.when(0, || dy * b * a.power(b - 1.0)),
            at.when(1, || {
                let positive = a.greater(0.0);
                positive.select(dy * y * positive.select(a, 1.0).log(), 0.0)
            }),
        ]
    }
}

impl<'g> Var<'g> {
    /// This value to the power `exponent`, element by element with broadcasting; NaN where an
    /// element is negative and its exponent is not a whole number. [`powf`](Var::powf) is faster
    /// where the exponent is a number.
    pub fn power(self, exponent: impl IntoVar<'g>) -> Var<'g> {
        let exponent = exponent.into_var(self.graph());
        self.graph().apply(Zip(Power), &[self, exponent])
    }
}
