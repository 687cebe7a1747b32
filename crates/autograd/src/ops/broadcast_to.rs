//! Repeating a value along new axes and axes of size 1.

use regraft_tensor::Detail;
use regraft_tensor::kernels::broadcast;

use crate::{Forward, Gradient, Op, Output, Shape, Var, attributes};

/// x repeated to a given shape, as NumPy's `broadcast_to` does.
#[derive(Clone, Debug)]
pub struct BroadcastTo {
    /// The shape of the result.
    pub shape: Shape,
}

impl Op for BroadcastTo {
    fn name(&self) -> &str {
        "broadcast_to"
    }

    attributes!(shape);

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        match operands[0].broadcast(&self.shape) {
            Some(shape) if shape == self.shape => Ok(shape),
            _ => Err(Detail::new(
                "",
                format!("a shape that broadcasts to {}", self.shape),
                operands[0],
            )),
        }
    }

    fn moves(&self, _index: usize) -> bool {
        true
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let shape = output.shape;
        broadcast::broadcast_to(operands.f32(0), operands.shape(0), output.f32(), shape);
        Ok(())
    }

    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        vec![Some(at.cotangent().sum_to(at.operand(0).shape()))]
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }

    fn flops(&self, _operands: &[&[usize]], _output: &[usize]) -> u64 {
        0
    }
}

impl<'g> Var<'g> {
    /// This value repeated to `shape`, as NumPy's `broadcast_to` does.
    pub fn broadcast_to(self, shape: impl Into<Shape>) -> Var<'g> {
        let shape = shape.into();
        if shape == self.shape() {
            return self;
        }
        self.graph().apply(BroadcastTo { shape }, &[self])
    }
}
