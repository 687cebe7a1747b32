//! Means over axes, the batch included.

use regraft_tensor::Detail;
use regraft_tensor::kernels::reduce;

use crate::ops::sum::{expand, reduced_shape, sorted};
use crate::{Forward, Gradient, Op, Output, Shape, Var, attributes};

/// The mean over `axes`, which stay with size 1 if `keep` says so.
#[derive(Clone, Debug)]
pub struct Mean {
    /// The axes averaged over, ascending.
    pub axes: Vec<usize>,
    /// Whether they stay, with size 1.
    pub keep: bool,
}

impl Op for Mean {
    fn name(&self) -> &str {
        "mean"
    }

    attributes!(axes, keep);

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        reduced_shape(operands[0], &self.axes, self.keep)
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        reduce::mean(operands.f32(0), operands.shape(0), &self.axes, output.f32());
        Ok(())
    }

    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        let dy = at.cotangent() * one_over_count(at.operand(0), &self.axes);
        vec![Some(expand(dy, at.operand(0), &self.axes, self.keep))]
    }

    fn keeps_samples_apart(&self) -> bool {
        !self.axes.contains(&0)
    }

    fn flops(&self, operands: &[&[usize]], _output: &[usize]) -> u64 {
        operands[0].iter().product::<usize>() as u64
    }
}

/// 1 / (the number of elements along `axes`), which may include the batch. Only the operand's shape
/// counts, so it has no gradient.
#[derive(Clone, Debug)]
struct OneOver {
    axes: Vec<usize>,
}

impl Op for OneOver {
    fn name(&self) -> &str {
        "one_over_count"
    }

    attributes!(axes);

    fn shape(&self, _operands: &[&Shape]) -> Result<Shape, Detail> {
        Ok(Shape::scalar())
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let shape = operands.shape(0);
        let count: usize = self.axes.iter().map(|&axis| shape[axis]).product();
        output.f32()[0] = 1.0 / count as f32;
        Ok(())
    }

    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        at.none()
    }
}

/// 1 / (the number of elements of `operand` along `axes`), a number.
pub(crate) fn one_over_count<'g>(operand: Var<'g>, axes: &[usize]) -> Var<'g> {
    let (graph, shape) = (operand.graph(), operand.shape());
    let reduced: Shape = axes
        .iter()
        .filter_map(|&axis| shape.dims().get(axis))
        .copied()
        .collect();
    match reduced.fixed() {
        Some(sizes) => graph.number(1.0 / sizes.iter().product::<usize>() as f32),
        None => {
            let axes = axes.to_vec();
            graph.apply(OneOver { axes }, &[operand])
        }
    }
}

impl<'g> Var<'g> {
    /// The mean over `axes`, which disappear.
    pub fn mean(self, axes: &[usize]) -> Var<'g> {
        let axes = sorted(axes);
        self.graph().apply(Mean { axes, keep: false }, &[self])
    }

    /// The mean over `axes`, which stay with size 1.
    pub fn mean_keeping(self, axes: &[usize]) -> Var<'g> {
        let axes = sorted(axes);
        self.graph().apply(Mean { axes, keep: true }, &[self])
    }

    /// The mean of all elements, a number.
    pub fn mean_all(self) -> Var<'g> {
        let axes: Vec<usize> = (0..self.shape().rank()).collect();
        self.mean(&axes)
    }
}
