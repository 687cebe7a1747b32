//! The larger and the smaller of two values, element by element.

use crate::ops::{Binary, IntoVar, Zip};
use crate::{Gradient, Var, attributes};

/// max(a, b); NaN where either is. At a = b the gradient goes to a.
#[derive(Clone, Copy, Debug)]
pub struct Maximum;

impl Binary for Maximum {
    const NAME: &'static str = "maximum";

    attributes!();

    #[inline(always)]
    fn value(self, a: f32, b: f32) -> f32 {
        if a >= b || a.is_nan() { a } else { b }
    }

    fn gradient<'g>(self, at: &Gradient<'g, '_>) -> [Option<Var<'g>>; 2] {
        let (a, b, dy) = (at.operand(0), at.operand(1), at.cotangent());
        let of_a = a.greater_equal(b);
        [
            at.when(0, || of_a.select(dy, 0.0)),
            at.when(1, || of_a.select(0.0, dy)),
        ]
    }
}

/// min(a, b); NaN where either is. At a = b the gradient goes to a.
#[derive(Clone, Copy, Debug)]
pub struct Minimum;

impl Binary for Minimum {
    const NAME: &'static str = "minimum";

    attributes!();

    #[inline(always)]
    fn value(self, a: f32, b: f32) -> f32 {
        if a <= b || a.is_nan() { a } else { b }
    }

    fn gradient<'g>(self, at: &Gradient<'g, '_>) -> [Option<Var<'g>>; 2] {
        let (a, b, dy) = (at.operand(0), at.operand(1), at.cotangent());
        let of_a = a.less_equal(b);
        [
            at.when(0, || of_a.select(dy, 0.0)),
            at.when(1, || of_a.select(0.0, dy)),
        ]
    }
}

impl<'g> Var<'g> {
    /// The larger of the two, element by element with broadcasting; NaN where either is. Where they
    /// are equal the gradient goes to `self`, as in TensorFlow.
    pub fn maximum(self, other: impl IntoVar<'g>) -> Var<'g> {
        let other = other.into_var(self.graph());
        self.graph().apply(Zip(Maximum), &[self, other])
    }

    /// The smaller of the two, element by element with broadcasting; NaN where either is. Where
    /// they are equal the gradient goes to `self`, as in TensorFlow.
    pub fn minimum(self, other: impl IntoVar<'g>) -> Var<'g> {
        let other = other.into_var(self.graph());
        self.graph().apply(Zip(Minimum), &[self, other])
    }
}
