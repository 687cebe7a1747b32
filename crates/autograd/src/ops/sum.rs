//! Sums over axes, and the sum that undoes a broadcast.

use regraft_tensor::Detail;
use regraft_tensor::kernels::reduce;

use crate::{Dim, Forward, Gradient, Op, Output, Shape, Var, attributes};

/// The sum over `axes`, which stay with size 1 if `keep` says so.
#[derive(Clone, Debug)]
pub struct Sum {
    /// The axes summed over, ascending.
    pub axes: Vec<usize>,
    /// Whether they stay, with size 1.
    pub keep: bool,
}

impl Op for Sum {
    fn name(&self) -> &str {
        "sum"
    }

    attributes!(axes, keep);

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        reduced_shape(operands[0], &self.axes, self.keep)
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        reduce::sum(operands.f32(0), operands.shape(0), &self.axes, output.f32());
        Ok(())
    }

    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        vec![Some(expand(
            at.cotangent(),
            at.operand(0),
            &self.axes,
            self.keep,
        ))]
    }

    fn keeps_samples_apart(&self) -> bool {
        !self.axes.contains(&0)
    }

    fn flops(&self, operands: &[&[usize]], _output: &[usize]) -> u64 {
        operands[0].iter().product::<usize>() as u64
    }
}

/// The shape rule of reductions.
pub(crate) fn reduced_shape(operand: &Shape, axes: &[usize], keep: bool) -> Result<Shape, Detail> {
    if let Some(axis) = axes.iter().find(|axis| **axis >= operand.rank()) {
        return Err(Detail::new(
            "",
            format!("axes below {} of {operand}", operand.rank()),
            axis,
        ));
    }
    let dims = operand.dims().iter().enumerate();
    Ok(dims
        .filter_map(|(axis, &dim)| match axes.contains(&axis) {
            true => keep.then_some(Dim::Fixed(1)),
            false => Some(dim),
        })
        .collect())
}

/// The gradient of a reduction, repeated along the reduced axes of `operand`.
pub(crate) fn expand<'g>(dy: Var<'g>, operand: Var<'g>, axes: &[usize], keep: bool) -> Var<'g> {
    let shape = operand.shape();
    // Broadcasting aligns the last axes, so leading ones need not be put back.
    let leading = axes.iter().copied().eq(0..axes.len());
    let kept = if keep || leading {
        dy
    } else {
        let dims = shape.dims().iter().enumerate();
        let kept: Shape = dims
            .map(|(axis, &dim)| {
                if axes.contains(&axis) {
                    Dim::Fixed(1)
                } else {
                    dim
                }
            })
            .collect();
        dy.reshape(kept)
    };
    kept.broadcast_to(shape)
}

/// The sum over everything that broadcasting from `shape` repeated.
#[derive(Clone, Debug)]
pub struct SumTo {
    /// The shape of the result.
    pub shape: Shape,
}

impl Op for SumTo {
    fn name(&self) -> &str {
        "sum_to"
    }

    attributes!(shape);

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        match self.shape.broadcast(operands[0]) {
            Some(shape) if shape == *operands[0] => Ok(self.shape.clone()),
            _ => Err(Detail::new(
                "",
                format!("a shape that {} broadcasts to", self.shape),
                operands[0],
            )),
        }
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let shape = output.shape;
        reduce::sum_to(operands.f32(0), operands.shape(0), output.f32(), shape);
        Ok(())
    }

    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        vec![Some(at.cotangent().broadcast_to(at.operand(0).shape()))]
    }

    fn flops(&self, operands: &[&[usize]], _output: &[usize]) -> u64 {
        operands[0].iter().product::<usize>() as u64
    }
}

impl<'g> Var<'g> {
    /// The sum over `axes`, which disappear.
    pub fn sum(self, axes: &[usize]) -> Var<'g> {
        let axes = sorted(axes);
        self.graph().apply(Sum { axes, keep: false }, &[self])
    }

    /// The sum over `axes`, which stay with size 1.
    pub fn sum_keeping(self, axes: &[usize]) -> Var<'g> {
        let axes = sorted(axes);
        self.graph().apply(Sum { axes, keep: true }, &[self])
    }

    /// The sum of all elements, a number.
    pub fn sum_all(self) -> Var<'g> {
        let axes: Vec<usize> = (0..self.shape().rank()).collect();
        self.sum(&axes)
    }

    /// The sum over everything that broadcasting from `shape` repeated.
    pub fn sum_to(self, shape: impl Into<Shape>) -> Var<'g> {
        let shape = shape.into();
        if shape == self.shape() {
            return self;
        }
        self.graph().apply(SumTo { shape }, &[self])
    }
}

/// Axes in ascending order, each once, as the kernels take them.
pub(crate) fn sorted(axes: &[usize]) -> Vec<usize> {
    let mut axes = axes.to_vec();
    axes.sort_unstable();
    axes.dedup();
    axes
}
