//! Keeping values within bounds.

use crate::ops::{Binary, Map, Unary, Zip};
use crate::{Attributes, Gradient, Var, attributes};

/// x where min ≤ x ≤ max, else the bound that is nearer. NaN stays NaN.
#[derive(Clone, Copy, Debug)]
pub struct Clip {
    /// The lower bound.
    pub min: f32,
    /// The upper bound.
    pub max: f32,
}

impl Unary for Clip {
    const NAME: &'static str = "clip";

    attributes!(min, max);

    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        let x = if x < self.min { self.min } else { x };
        if x > self.max { self.max } else { x }
    }

    fn gradient<'g>(self, x: Var<'g>, _y: Var<'g>, dy: Var<'g>) -> Var<'g> {
        dy.graph().apply(Zip(ClipGradient(self)), &[dy, x])
    }
}

/// dy where x is within the bounds (which belong to it), else 0: `(dy, x) → dx`.
#[derive(Clone, Copy, Debug)]
pub struct ClipGradient(pub Clip);

impl Binary for ClipGradient {
    const NAME: &'static str = "clip_gradient";

    fn attributes(&self) -> Option<Attributes> {
        self.0.attributes()
    }

    #[inline(always)]
    fn value(self, dy: f32, x: f32) -> f32 {
        if x >= self.0.min && x <= self.0.max {
            dy
        } else {
            0.0
        }
    }

    /// Linear in dy; constant in x wherever it is differentiable.
    fn gradient<'g>(self, at: &Gradient<'g, '_>) -> [Option<Var<'g>>; 2] {
        let (x, d) = (at.operand(1), at.cotangent());
        [at.when(0, || d.graph().apply(Zip(self), &[d, x])), None]
    }
}

impl<'g> Var<'g> {
    /// Every element kept within `min` and `max`; where it is outside, the gradient is 0.
    pub fn clip(self, min: f32, max: f32) -> Var<'g> {
        self.graph().apply(Map(Clip { min, max }), &[self])
    }
}
