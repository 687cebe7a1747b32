//! Sparsemax over the last axis: a softmax that gives many zeros (Martins, Astudillo: "From softmax
//! to sparsemax").

use regraft_tensor::Detail;
use regraft_tensor::kernels::sparsemax;

use crate::{Dim, Forward, Gradient, Op, Output, Shape, Var, attributes};

/// The point of the probability simplex that is nearest to each row: `y = max(x − τ, 0)` with the τ
/// for which the row adds up to 1.
#[derive(Clone, Copy, Debug)]
pub struct Sparsemax;

impl Op for Sparsemax {
    fn name(&self) -> &str {
        "sparsemax"
    }

    attributes!();

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        match operands[0].dims().last() {
            None | Some(Dim::Batch | Dim::PerSample(_)) => {
                Err(Detail::new("", "a last axis of fixed size", operands[0]))
            }
            Some(Dim::Fixed(_)) => Ok(operands[0].clone()),
        }
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let columns = operands.shape(0).last().copied().unwrap_or(1);
        sparsemax::sparsemax(operands.f32(0), columns, output.f32());
        Ok(())
    }

    /// dx = s · (dy − mean of dy over s), with s the elements where y > 0.
    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        let (y, dy) = (at.result(), at.cotangent());
        let last = y.shape().rank() - 1;
        let support = y.step();
        let sum = (dy * support).sum_keeping(&[last]);
        vec![Some(support * (dy - sum / support.sum_keeping(&[last])))]
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }

    fn flops(&self, operands: &[&[usize]], _output: &[usize]) -> u64 {
        6 * operands[0].iter().product::<usize>() as u64
    }
}

impl<'g> Var<'g> {
    /// Sparsemax over the last axis: the nearest point of the probability simplex.
    pub fn sparsemax(self) -> Var<'g> {
        self.graph().apply(Sparsemax, &[self])
    }
}
