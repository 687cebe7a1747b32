//! A table from integers to integers as an op.

use std::fmt;
use std::sync::Arc;

use regraft_autograd::{DataType, Forward, Op, Output, Shape, Var};
use regraft_tensor::Detail;

/// What each integer becomes.
pub(super) trait IntegerMap: fmt::Debug + Send + Sync + 'static {
    /// What `value` becomes, or why it cannot.
    fn map(&self, value: i32) -> Result<i32, Detail>;
}

/// Each integer as the table has it.
#[derive(Debug)]
struct MapIntegers(Arc<dyn IntegerMap>);

impl Op for MapIntegers {
    fn name(&self) -> &str {
        "map_integers"
    }

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        Ok(operands[0].clone())
    }

    fn data_type(&self) -> DataType {
        DataType::I32
    }

    fn operand_type(&self, _index: usize) -> DataType {
        DataType::I32
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        for (out, &value) in output.i32().iter_mut().zip(operands.i32(0)) {
            *out = self.0.map(value)?;
        }
        Ok(())
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }
}

/// Each of the integers `x` as the table has it.
pub(super) fn map_integers<'g>(x: Var<'g>, table: Arc<dyn IntegerMap>) -> Var<'g> {
    x.graph().apply(MapIntegers(table), &[x])
}
