//! The logarithm of softmax and of the sum of exponentials, over the last axis, computed stably.

use regraft_tensor::Detail;
use regraft_tensor::kernels::softmax;

use crate::ops::sum::expand;
use crate::{Dim, Forward, Gradient, Op, Output, Shape, Var, attributes};

/// The size of the last axis must be known.
fn check_last(operand: &Shape) -> Result<(), Detail> {
    match operand.dims().last() {
        Some(Dim::Fixed(_)) => Ok(()),
        _ => Err(Detail::new("", "a last axis of fixed size", operand)),
    }
}

/// `y[i, j] = x[i, j] − log Σₖ exp(x[i, k])`.
#[derive(Clone, Copy, Debug)]
pub struct LogSoftmax;

impl Op for LogSoftmax {
    fn name(&self) -> &str {
        "log_softmax"
    }

    attributes!();

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        check_last(operands[0])?;
        Ok(operands[0].clone())
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let columns = operands.shape(0).last().copied().unwrap_or(1);
        softmax::log_softmax(operands.f32(0), columns, output.f32());
        Ok(())
    }

    /// dx = dy − exp(y) · Σ dy
    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        let (y, dy) = (at.result(), at.cotangent());
        let last = y.shape().rank() - 1;
        vec![Some(dy - y.exp() * dy.sum_keeping(&[last]))]
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }

    fn flops(&self, operands: &[&[usize]], _output: &[usize]) -> u64 {
        5 * operands[0].iter().product::<usize>() as u64
    }
}

/// `y[i] = log Σₖ exp(x[i, k])`: the last axis disappears.
#[derive(Clone, Copy, Debug)]
pub struct LogSumExp;

impl Op for LogSumExp {
    fn name(&self) -> &str {
        "log_sum_exp"
    }

    attributes!();

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        check_last(operands[0])?;
        let (_, leading) = operands[0]
            .dims()
            .split_last()
            .unwrap_or((&Dim::Batch, &[]));
        Ok(leading.iter().copied().collect())
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let columns = operands.shape(0).last().copied().unwrap_or(1);
        softmax::log_sum_exp(operands.f32(0), columns, output.f32());
        Ok(())
    }

    /// dx = softmax(x) · dy
    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        let (x, dy) = (at.operand(0), at.cotangent());
        let last = x.shape().rank() - 1;
        vec![Some(x.softmax() * expand(dy, x, &[last], false))]
    }

    /// A row of the result is a row of the operand, unless the operand is one row.
    fn keeps_samples_apart(&self) -> bool {
        true
    }

    fn flops(&self, operands: &[&[usize]], _output: &[usize]) -> u64 {
        5 * operands[0].iter().product::<usize>() as u64
    }
}

impl<'g> Var<'g> {
    /// The logarithm of [`softmax`](Var::softmax) over the last axis.
    pub fn log_softmax(self) -> Var<'g> {
        self.graph().apply(LogSoftmax, &[self])
    }

    /// log Σ eˣ over the last axis, which disappears; finite wherever x is.
    pub fn log_sum_exp(self) -> Var<'g> {
        self.graph().apply(LogSumExp, &[self])
    }
}
