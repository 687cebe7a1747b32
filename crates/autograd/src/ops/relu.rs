//! The rectified linear unit and its gradient, one pass each.

use regraft_tensor::Detail;
use regraft_tensor::kernels::matmul::EpilogueActivation;
use regraft_tensor::kernels::{elementwise, math};

use crate::ops::{Map, Unary};
use crate::{Forward, Gradient, Op, Output, Shape, Var, attributes};

/// max(x, 0).
#[derive(Clone, Copy, Debug)]
pub struct Relu;

impl Unary for Relu {
    const NAME: &'static str = "relu";

    attributes!();

    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        math::relu(x)
    }

    /// From y rather than x, so that x need not be kept and the op can be fused into the one before.
    fn gradient<'g>(self, _x: Var<'g>, y: Var<'g>, dy: Var<'g>) -> Var<'g> {
        y.graph().apply(ReluGradient, &[dy, y])
    }

    fn epilogue(self) -> Option<EpilogueActivation> {
        Some(EpilogueActivation::Relu)
    }
}

/// dy where y > 0, else 0: `(dy, y) → dx`.
#[derive(Clone, Copy, Debug)]
pub struct ReluGradient;

#[inline(always)]
fn pass(dy: f32, y: f32) -> f32 {
    if y > 0.0 { dy } else { 0.0 }
}

impl Op for ReluGradient {
    fn name(&self) -> &str {
        "relu_gradient"
    }

    attributes!();

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        if operands[0] != operands[1] {
            return Err(Detail::new("", operands[0], operands[1]));
        }
        Ok(operands[0].clone())
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        elementwise::zip(operands.f32(0), operands.f32(1), output.f32(), pass);
        Ok(())
    }

    fn works_in_place(&self) -> bool {
        true
    }

    fn forward_in_place(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        elementwise::zip_in_place(output.f32(), operands.f32(1), pass);
        Ok(())
    }

    /// Linear in dy; constant in y wherever it is differentiable.
    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        let (y, d) = (at.operand(1), at.cotangent());
        vec![at.when(0, || d.graph().apply(ReluGradient, &[d, y])), None]
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
