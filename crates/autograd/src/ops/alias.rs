//! The same value under another number. It costs nothing: passes remove it.

use regraft_tensor::Detail;

use crate::{DataType, Forward, Gradient, Op, Output, Shape, Var, attributes};

/// y = x.
#[derive(Clone, Copy, Debug)]
pub struct Alias {
    /// The element type of x.
    pub data_type: DataType,
}

impl Op for Alias {
    fn name(&self) -> &str {
        "alias"
    }

    attributes!(data_type);

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        Ok(operands[0].clone())
    }

    fn data_type(&self) -> DataType {
        self.data_type
    }

    fn operand_type(&self, _index: usize) -> DataType {
        self.data_type
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        output.data.copy_from_slice(operands.operands[0].data);
        Ok(())
    }

    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        vec![Some(at.cotangent())]
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }

    fn flops(&self, _operands: &[&[usize]], _output: &[usize]) -> u64 {
        0
    }
}
