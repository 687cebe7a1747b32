//! The rectified linear unit and its gradient, one pass each.

use regraft_tensor::Detail;
use regraft_tensor::kernels::elementwise;

use crate::ops::{Map, Unary};
use crate::{Forward, Gradient, Op, Output, Shape, Var};

/// max(x, 0).
#[derive(Clone, Copy, Debug)]
pub struct Relu;

impl Unary for Relu {
    const NAME: &'static str = "relu";

    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        if x > 0.0 { x } else { 0.0 }
    }

    /// From y rather than x, so that x need not be kept and the op can be fused into the one before.
    fn gradient<'g>(self, _x: Var<'g>, y: Var<'g>, dy: Var<'g>) -> Var<'g> {
        y.graph().apply(ReluGradient, &[y, dy])
    }
}

/// dy where y > 0, else 0.
#[derive(Clone, Copy, Debug)]
pub struct ReluGradient;

impl Op for ReluGradient {
    fn name(&self) -> &str {
        "relu_gradient"
    }

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        if operands[0] != operands[1] {
            return Err(Detail::new("", operands[0], operands[1]));
        }
        Ok(operands[0].clone())
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        elementwise::zip(operands.f32(0), operands.f32(1), output.f32(), |y, dy| {
            if y > 0.0 { dy } else { 0.0 }
        });
        Ok(())
    }

    /// Linear in dy; constant in y wherever it is differentiable.
    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        let (y, graph) = (at.operand(0), at.cotangent().graph());
        vec![
            None,
            at.when(1, || graph.apply(ReluGradient, &[y, at.cotangent()])),
        ]
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }
}

impl<'g> Var<'g> {
    /// max(x, 0); its gradient at 0 is 0.
    pub fn relu(self) -> Var<'g> {
        self.graph().apply(Map(Relu), &[self])
    }
}
