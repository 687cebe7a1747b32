//! What is left over by a division, element by element.

use crate::ops::{Binary, IntoVar, Zip};
use crate::{Gradient, Var, attributes};

/// a − b · ⌊a / b⌋ without rounding, which has the sign of b. Where it jumps, the gradient is that
/// beside the jump.
#[derive(Clone, Copy, Debug)]
pub struct FloorModulo;

impl Binary for FloorModulo {
    const NAME: &'static str = "floor_modulo";

    attributes!();

    #[inline(always)]
    fn value(self, a: f32, b: f32) -> f32 {
        let rest = a % b;
        if rest != 0.0 && (rest < 0.0) != (b < 0.0) {
            rest + b
        } else {
            rest
        }
    }

    fn gradient<'g>(self, at: &Gradient<'g, '_>) -> [Option<Var<'g>>; 2] {
        let (a, b, dy) = (at.operand(0), at.operand(1), at.cotangent());
        [at.when(0, || dy), at.when(1, || -dy * (a / b).floor())]
    }
}

impl<'g> Var<'g> {
    /// What is left over by dividing by `other`, with its sign, element by element with broadcasting.
    pub fn floor_modulo(self, other: impl IntoVar<'g>) -> Var<'g> {
        let other = other.into_var(self.graph());
        self.graph().apply(Zip(FloorModulo), &[self, other])
    }
}
