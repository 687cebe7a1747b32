//! The same elements in another shape.

use regraft_tensor::Detail;

use crate::{Dim, Forward, Gradient, Op, Output, Shape, Var};

/// x in another shape with as many elements. The batch may move among axes of size 1, but cannot
/// be merged with another axis.
#[derive(Clone, Debug)]
pub struct Reshape {
    /// The shape of the result.
    pub shape: Shape,
}

/// How often the batch occurs, and the product of the other sizes.
fn size(shape: &Shape) -> (usize, usize) {
    let batches = shape
        .dims()
        .iter()
        .filter(|dim| **dim == Dim::Batch)
        .count();
    (batches, shape.len(1))
}

impl Op for Reshape {
    fn name(&self) -> &str {
        "reshape"
    }

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        if size(operands[0]) != size(&self.shape) {
            return Err(Detail::new(
                "",
                format!("a shape with as many elements as {}", operands[0]),
                &self.shape,
            ));
        }
        Ok(self.shape.clone())
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        output.f32().copy_from_slice(operands.f32(0));
        Ok(())
    }

    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        vec![Some(at.cotangent().reshape(at.operand(0).shape()))]
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }

    fn works_in_place(&self) -> bool {
        true
    }

    fn forward_in_place(&self, _operands: Forward<'_>, _output: Output<'_>) -> Result<(), Detail> {
        Ok(())
    }

    fn flops(&self, _operands: &[&[usize]], _output: &[usize]) -> u64 {
        0
    }
}

impl<'g> Var<'g> {
    /// The same elements in `shape`.
    pub fn reshape(self, shape: impl Into<Shape>) -> Var<'g> {
        let shape = shape.into();
        if shape == self.shape() {
            return self;
        }
        self.graph().apply(Reshape { shape }, &[self])
    }
}
