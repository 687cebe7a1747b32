//! Functions of one number that are constant between their jumps, so that their gradient is zero.

use regraft_tensor::Detail;
use regraft_tensor::kernels::elementwise;

use crate::{Attributes, Forward, Gradient, Op, Output, Shape, Var};

/// A function that is constant between its jumps. It has no gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Staircase {
    /// −1, 0 or 1.
    Sign,
    /// 1 where x > 0, else 0.
    Step,
    /// The largest whole number that is not above x.
    Floor,
    /// The nearest whole number, the even one of two as near.
    Round,
}

#[inline(always)]
fn sign(x: f32) -> f32 {
    let sign = (x > 0.0) as i32 - (x < 0.0) as i32;
    // NaN stays NaN.
    if x.is_nan() { x } else { sign as f32 }
}

#[inline(always)]
fn step(x: f32) -> f32 {
    (x > 0.0) as i32 as f32
}

impl Op for Staircase {
    fn name(&self) -> &str {
        match self {
            Staircase::Sign => "sign",
            Staircase::Step => "step",
            Staircase::Floor => "floor",
            Staircase::Round => "round",
        }
    }

    fn attributes(&self) -> Option<Attributes> {
        let kind = self.name().to_string();
        Some(Attributes::none().with("kind", kind))
    }

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        Ok(operands[0].clone())
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let (x, y) = (operands.f32(0), output.f32());
        match self {
            Staircase::Sign => elementwise::map(x, y, sign),
            Staircase::Step => elementwise::map(x, y, step),
            Staircase::Floor => elementwise::map(x, y, f32::floor),
            Staircase::Round => elementwise::map(x, y, f32::round_ties_even),
        }
        Ok(())
    }

    /// Of `sign` it is zero, as TensorFlow has it; through the others none passes.
    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        match self {
            Staircase::Sign => {
                let x = at.operand(0);
                vec![at.when(0, || x.graph().full(x.shape(), 0.0))]
            }
            _ => at.none(),
        }
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }
}

impl<'g> Var<'g> {
    /// −1, 0 or 1, without gradient.
    pub fn sign(self) -> Var<'g> {
        self.graph().apply(Staircase::Sign, &[self])
    }

    /// 1 where x > 0, else 0, without gradient.
    pub fn step(self) -> Var<'g> {
        self.graph().apply(Staircase::Step, &[self])
    }

    /// The largest whole number that is not above x, without gradient.
    pub fn floor(self) -> Var<'g> {
        self.graph().apply(Staircase::Floor, &[self])
    }

    /// The nearest whole number, the even one of two as near, without gradient.
    pub fn round(self) -> Var<'g> {
        self.graph().apply(Staircase::Round, &[self])
    }
}
