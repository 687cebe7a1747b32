//! The gradients of attention, as one op: they are computed together, from the same tiles.

use regraft_tensor::Detail;
use regraft_tensor::kernels::attention as kernel;

use super::{ScaledDotProductAttention, flops, masks, result_shape, sizes, written_out};
use crate::{Attributes, Dim, Forward, Gradient, Op, Output, Shape, Var};

/// For operands `(q, k, v, dy, masks…)` the gradients of [`ScaledDotProductAttention`] with respect to q, k and v, those
/// that are wanted, one after the other in a row for each sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScaledDotProductAttentionGradient {
    /// What it is the gradient of.
    pub of: ScaledDotProductAttention,
    /// Which of q, k and v.
    pub wanted: [bool; 3],
}

/// How many values a sample has in such an operand.
fn of_sample(shape: &Shape) -> usize {
    shape.dims()[1..].iter().map(|dim| dim.size(1)).product()
}

/// The gradients of attention that somebody asks for.
pub(super) fn of<'g>(op: ScaledDotProductAttention, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
    let wanted = [0, 1, 2].map(|index| at.wanted(index));
    let mut gradients = vec![None; at.operands().len()];
    if wanted == [false; 3] {
        return gradients;
    }
    let (of_op, masks) = at.operands().split_at(3);
    let operands = [of_op, &[at.cotangent()], masks].concat();
    let gradient = ScaledDotProductAttentionGradient { of: op, wanted };
    let all = at.cotangent().graph().apply(gradient, &operands);
    let mut from = 0;
    for (index, operand) in of_op.iter().enumerate().filter(|(index, _)| wanted[*index]) {
        let to = from + of_sample(&operand.shape());
        gradients[index] = Some(all.slice(1, from..to).reshape(operand.shape()));
        from = to;
    }
    gradients
}

impl Op for ScaledDotProductAttentionGradient {
    fn name(&self) -> &str {
        "scaled_dot_product_attention_gradient"
    }

    fn attributes(&self) -> Option<Attributes> {
        Some(self.of.declared().with("wanted", self.wanted))
    }

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        let [q, k, v, dy, masks @ ..] = operands else {
            return Err(Detail::new("", "q, k, v and dy", operands.len()));
        };
        let of_op = [&[*q, *k, *v], masks].concat();
        let result = result_shape(&of_op)?;
        if result != **dy {
            return Err(Detail::new("dy", &result, dy));
        }
        let wanted = [q, k, v].into_iter().zip(self.wanted);
        let sizes = wanted.map(|(shape, wanted)| if wanted { of_sample(shape) } else { 0 });
        Ok([q.dims()[0], Dim::Fixed(sizes.sum())].into_iter().collect())
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let [q, k, v, dy] = [0, 1, 2, 3].map(|index| operands.f32(index));
        let sizes = sizes(operands.shape(0), operands.shape(1), operands.shape(2));
        let masks = masks(&operands, 4);
        let settings = self.of.settings(&masks);
        kernel::gradients(&sizes, &settings, self.wanted, q, k, v, dy, output.f32());
        Ok(())
    }

    /// Through the gradients as they are written out with simple ops.
    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        at.through(|operands| written_out::gradients(self, operands))
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }

    fn flops(&self, operands: &[&[usize]], _output: &[usize]) -> u64 {
        let [of_q, of_k, of_v] = self.wanted.map(u64::from);
        let product = flops(operands[0], operands[1], operands[2]) / 2;
        product * (1 + of_v + (of_q | of_k) + of_q + of_k)
    }
}
