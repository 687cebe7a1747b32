//! Class numbers as rows of zeros with a single one.

use regraft_tensor::Detail;
use regraft_tensor::kernels::gather;

use crate::{DataType, Dim, Forward, Op, Output, Shape, Var, attributes};

/// `y[…, c] = 1 if x[…] = c else 0`: `[…] → […, classes]`.
/// A class outside the range is an error when the program runs.
#[derive(Clone, Copy, Debug)]
pub struct OneHot {
    /// The number of classes.
    pub classes: usize,
}

impl Op for OneHot {
    fn name(&self) -> &str {
        "one_hot"
    }

    attributes!(classes);

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        let dims = operands[0].dims().iter().copied();
        Ok(dims.chain([Dim::Fixed(self.classes)]).collect())
    }

    fn operand_type(&self, _index: usize) -> DataType {
        DataType::I32
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        gather::one_hot(operands.i32(0), self.classes, output.f32())?;
        Ok(())
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }
}

impl<'g> Var<'g> {
    /// These class numbers as rows of zeros with a single one.
    pub fn one_hot(self, classes: usize) -> Var<'g> {
        self.graph().apply(OneHot { classes }, &[self])
    }
}
