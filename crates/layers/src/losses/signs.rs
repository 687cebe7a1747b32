//! Binary labels as signs, as the hinge losses take them.

use regraft_autograd::{Forward, Gradient, Op, Output, Shape, Var, attributes};
use regraft_tensor::Detail;

/// y = 2x − 1 if all of x is 0 or 1, else x. It has no gradient: labels are given.
#[derive(Clone, Copy, Debug)]
struct Signs;

impl Op for Signs {
    attributes!();

    fn name(&self) -> &str {
        "labels_as_signs"
    }

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        Ok(operands[0].clone())
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let labels = operands.f32(0);
        let binary = labels.iter().all(|&label| label == 0.0 || label == 1.0);
        for (sign, &label) in output.f32().iter_mut().zip(labels) {
            *sign = if binary { 2.0 * label - 1.0 } else { label };
        }
        Ok(())
    }

    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        at.none()
    }
}

/// These labels as −1 and 1, if all of the batch are 0 and 1.
pub(super) fn signs(labels: Var<'_>) -> Var<'_> {
    labels.graph().apply(Signs, &[labels])
}
