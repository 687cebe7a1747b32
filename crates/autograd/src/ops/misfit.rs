//! What stands in a graph in the place of an op that did not fit its operands.

use regraft_tensor::Detail;

use crate::{Attributes, DataType, Forward, Op, Output, Shape};

/// No value. The graph knows the error, which compiling returns; this keeps its nodes valid until then,
/// since formulas do not stop at errors.
#[derive(Debug)]
pub(crate) struct Misfit {
    op: String,
    shape: Shape,
    data_type: DataType,
}

impl Misfit {
    /// In the place of the op called `op`, of which the sizes are guessed.
    pub fn new(op: &str, shape: Shape, data_type: DataType) -> Self {
        let op = op.to_string();
        Misfit {
            op,
            shape,
            data_type,
        }
    }
}

impl Op for Misfit {
    fn name(&self) -> &str {
        "misfit"
    }

    fn attributes(&self) -> Option<Attributes> {
        Some(Attributes::none().with("op", self.op.clone()))
    }

    fn shape(&self, _operands: &[&Shape]) -> Result<Shape, Detail> {
        Ok(self.shape.clone())
    }

    fn data_type(&self) -> DataType {
        self.data_type
    }

    fn forward(&self, _operands: Forward<'_>, _output: Output<'_>) -> Result<(), Detail> {
        let expected = format!("operands that `{}` takes", self.op);
        Err(Detail::new("", expected, "others"))
    }
}
