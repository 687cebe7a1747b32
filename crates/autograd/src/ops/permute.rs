//! Axes in another order.

use regraft_tensor::Detail;
use regraft_tensor::kernels::layout;

use crate::{Forward, Gradient, Op, Output, Shape, Var, attributes};

/// Axis `i` of the result is axis `axes[i]` of x, as NumPy's `transpose(x, axes)`.
#[derive(Clone, Debug)]
pub struct Permute {
    /// Every axis of x once.
    pub axes: Vec<usize>,
}

impl Op for Permute {
    fn name(&self) -> &str {
        "permute"
    }

    attributes!(axes);

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        let x = operands[0];
        let mut sorted = self.axes.clone();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..x.rank()) {
            let expected = format!("each axis of {x} once");
            return Err(Detail::new("", expected, format!("{:?}", self.axes)));
        }
        Ok(self.axes.iter().map(|&axis| x.dims()[axis]).collect())
    }

    fn moves(&self, _index: usize) -> bool {
        true
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        layout::permute(operands.f32(0), operands.shape(0), &self.axes, output.f32());
        Ok(())
    }

    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        let mut inverse = vec![0; self.axes.len()];
        for (position, &axis) in self.axes.iter().enumerate() {
            inverse[axis] = position;
        }
        vec![Some(at.cotangent().permute(&inverse))]
    }

    fn keeps_samples_apart(&self) -> bool {
        self.axes.first() == Some(&0)
    }

    fn flops(&self, _operands: &[&[usize]], _output: &[usize]) -> u64 {
        0
    }
}

impl<'g> Var<'g> {
    /// The axes in another order: axis `i` of the result is axis `axes[i]` of this value.
    pub fn permute(self, axes: &[usize]) -> Var<'g> {
        if axes.iter().copied().eq(0..self.shape().rank()) {
            return self;
        }
        let axes = axes.to_vec();
        self.graph().apply(Permute { axes }, &[self])
    }

    /// The axes in reverse order: for a matrix, its transpose.
    pub fn transpose(self) -> Var<'g> {
        let axes: Vec<usize> = (0..self.shape().rank()).rev().collect();
        self.permute(&axes)
    }
}
