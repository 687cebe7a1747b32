//! A value that gradients do not pass.

use regraft_tensor::Detail;

use crate::{Forward, Gradient, Op, Output, Shape, Var, attributes};

/// y = x, as if x were constant. It costs nothing: passes remove it after differentiation.
#[derive(Clone, Copy, Debug)]
pub struct StopGradient;

impl Op for StopGradient {
    fn name(&self) -> &str {
        "stop_gradient"
    }

    attributes!();

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        Ok(operands[0].clone())
    }

    fn moves(&self, _index: usize) -> bool {
        true
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        output.f32().copy_from_slice(operands.f32(0));
        Ok(())
    }

    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        at.none()
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }

    fn flops(&self, _operands: &[&[usize]], _output: &[usize]) -> u64 {
        0
    }
}

impl<'g> Var<'g> {
    /// This value as if it were constant: gradients do not pass.
    pub fn stop_gradient(self) -> Var<'g> {
        self.graph().apply(StopGradient, &[self])
    }
}
