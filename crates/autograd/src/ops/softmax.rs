//! Softmax over the last axis.

use regraft_tensor::Detail;
use regraft_tensor::kernels::softmax;

use crate::{Dim, Forward, Gradient, Op, Output, Shape, Var, attributes};

/// `y[i, j] = exp(x[i, j]) / Σₖ exp(x[i, k])`, the largest x of each row subtracted first.
#[derive(Clone, Copy, Debug)]
pub struct Softmax;

impl Op for Softmax {
    fn name(&self) -> &str {
        "softmax"
    }

    attributes!();

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        match operands[0].dims().last() {
            None | Some(Dim::Batch | Dim::PerSample(_)) => {
                Err(Detail::new("", "a last axis of fixed size", operands[0]))
            }
            _ => Ok(operands[0].clone()),
        }
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let columns = operands.shape(0).last().copied().unwrap_or(1);
        softmax::softmax(operands.f32(0), columns, output.f32());
        Ok(())
    }

    /// dx = y · (dy − Σ dy·y)
    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        let (y, dy) = (at.result(), at.cotangent());
        let last = y.shape().rank() - 1;
        vec![Some(y * (dy - (dy * y).sum_keeping(&[last])))]
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }

    fn flops(&self, operands: &[&[usize]], _output: &[usize]) -> u64 {
        5 * operands[0].iter().product::<usize>() as u64
    }
}

impl<'g> Var<'g> {
    /// Softmax over the last axis.
    pub fn softmax(self) -> Var<'g> {
        self.graph().apply(Softmax, &[self])
    }
}
