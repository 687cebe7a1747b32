//! `+`, `−`, `×`, `÷` between values and with plain numbers, and negation.

use std::ops;

use crate::ops::unary::unary;
use crate::ops::{Binary, Zip};
use crate::{Gradient, Var, attributes};

/// a + b.
#[derive(Clone, Copy, Debug)]
pub struct Add;

impl Binary for Add {
    const NAME: &'static str = "add";

    attributes!();

    #[inline(always)]
    fn value(self, a: f32, b: f32) -> f32 {
        a + b
    }

    fn gradient<'g>(self, at: &Gradient<'g, '_>) -> [Option<Var<'g>>; 2] {
        let dy = at.cotangent();
        [at.when(0, || dy), at.when(1, || dy)]
    }
}

/// a − b.
#[derive(Clone, Copy, Debug)]
pub struct Subtract;

impl Binary for Subtract {
    const NAME: &'static str = "subtract";

    attributes!();

    #[inline(always)]
    fn value(self, a: f32, b: f32) -> f32 {
        a - b
    }

    fn gradient<'g>(self, at: &Gradient<'g, '_>) -> [Option<Var<'g>>; 2] {
        let dy = at.cotangent();
        [at.when(0, || dy), at.when(1, || -dy)]
    }
}

/// a · b.
#[derive(Clone, Copy, Debug)]
pub struct Multiply;

impl Binary for Multiply {
    const NAME: &'static str = "multiply";

    attributes!();

    #[inline(always)]
    fn value(self, a: f32, b: f32) -> f32 {
        a * b
    }

    fn gradient<'g>(self, at: &Gradient<'g, '_>) -> [Option<Var<'g>>; 2] {
        let (a, b, dy) = (at.operand(0), at.operand(1), at.cotangent());
        [at.when(0, || dy * b), at.when(1, || dy * a)]
    }
}

/// a / b.
#[derive(Clone, Copy, Debug)]
pub struct Divide;

impl Binary for Divide {
    const NAME: &'static str = "divide";

    attributes!();

    #[inline(always)]
    fn value(self, a: f32, b: f32) -> f32 {
        a / b
    }

    fn gradient<'g>(self, at: &Gradient<'g, '_>) -> [Option<Var<'g>>; 2] {
        let (b, y, dy) = (at.operand(1), at.result(), at.cotangent());
        [at.when(0, || dy / b), at.when(1, || -dy * y / b)]
    }
}

unary!(
    /// −x.
    Negate, negate, |x| -x, |_x, _y, dy| -dy
);

impl ops::Neg for Var<'_> {
    type Output = Self;

    fn neg(self) -> Self {
        self.negate()
    }
}

/// Implements an operator between two values, and between a value and a number on either side.
macro_rules! operator {
    ($trait:ident, $method:ident, $op:expr) => {
        impl<'g> ops::$trait for Var<'g> {
            type Output = Var<'g>;

            fn $method(self, other: Var<'g>) -> Var<'g> {
                self.graph().apply(Zip($op), &[self, other])
            }
        }

        impl<'g> ops::$trait<f32> for Var<'g> {
            type Output = Var<'g>;

            fn $method(self, other: f32) -> Var<'g> {
                let other = self.graph().number(other);
                self.graph().apply(Zip($op), &[self, other])
            }
        }

        impl<'g> ops::$trait<Var<'g>> for f32 {
            type Output = Var<'g>;

            fn $method(self, other: Var<'g>) -> Var<'g> {
                let number = other.graph().number(self);
                other.graph().apply(Zip($op), &[number, other])
            }
        }
    };
}

operator!(Add, add, Add);
operator!(Sub, sub, Subtract);
operator!(Mul, mul, Multiply);
operator!(Div, div, Divide);
