//! A new value of a variable within a step, of which the gradient is that of the variable.

use regraft_tensor::Detail;

use crate::{Forward, Gradient, Op, Output, Shape, Var, attributes};

/// y = value, of the operands `(variable, value)`; the gradient passes to the variable as it is, and none to
/// what the value was computed from.
#[derive(Clone, Copy, Debug)]
pub struct Assign;

impl Op for Assign {
    fn name(&self) -> &str {
        "assign"
    }

    attributes!();

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        match operands {
            [variable, value] if variable == value => Ok((*value).clone()),
            [variable, value] => Err(Detail::new(
                "",
                format!("a value of shape {variable}"),
                value,
            )),
            _ => Err(Detail::new("", "2 operands", operands.len())),
        }
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        output.f32().copy_from_slice(operands.f32(1));
        Ok(())
    }

    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        vec![Some(at.cotangent()), None]
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }

    fn flops(&self, _operands: &[&[usize]], _output: &[usize]) -> u64 {
        0
    }
}

impl<'g> Var<'g> {
    /// `value` in the place of this variable: what is computed from it has the gradient with respect to the
    /// variable, which does not pass to what `value` was computed from.
    pub fn assign(self, value: Var<'g>) -> Var<'g> {
        self.graph().apply(Assign, &[self, value])
    }
}
