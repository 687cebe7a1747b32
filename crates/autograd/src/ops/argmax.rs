//! Where the largest value stands.

use regraft_tensor::Detail;
use regraft_tensor::kernels::reduce;

use crate::ops::sum::reduced_shape;
use crate::{DataType, Forward, Op, Output, Shape, Var, attributes};

/// The index along `axis` of the largest value, as an integer: the first of equals; NaN counts as
/// largest. It has no gradient.
#[derive(Clone, Copy, Debug)]
pub struct Argmax {
    /// The axis searched, which disappears.
    pub axis: usize,
}

impl Op for Argmax {
    fn name(&self) -> &str {
        "argmax"
    }

    attributes!(axis);

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        reduced_shape(operands[0], &[self.axis], false)
    }

    fn data_type(&self) -> DataType {
        DataType::I32
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        reduce::argmax(operands.f32(0), operands.shape(0), self.axis, output.i32());
        Ok(())
    }

    fn keeps_samples_apart(&self) -> bool {
        self.axis != 0
    }

    fn flops(&self, operands: &[&[usize]], _output: &[usize]) -> u64 {
        operands[0].iter().product::<usize>() as u64
    }
}

impl<'g> Var<'g> {
    /// The index along `axis` of the largest value, as an integer: the first of equals. Without
    /// gradient.
    pub fn argmax(self, axis: usize) -> Var<'g> {
        self.graph().apply(Argmax { axis }, &[self])
    }
}
