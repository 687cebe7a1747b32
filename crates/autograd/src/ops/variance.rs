//! Variances over axes, the batch included.

use regraft_tensor::Detail;
use regraft_tensor::kernels::reduce;

use crate::ops::mean::one_over_count;
use crate::ops::sum::{expand, reduced_shape, sorted};
use crate::{Forward, Gradient, Op, Output, Shape, Var};

/// The population variance `mean((x − mean(x))²)` over `axes`, which stay with size 1 if `keep`
/// says so. Computed in two passes, so that a mean far from zero costs no accuracy.
#[derive(Clone, Debug)]
pub struct Variance {
    /// The axes reduced over, ascending.
    pub axes: Vec<usize>,
    /// Whether they stay, with size 1.
    pub keep: bool,
}

impl Op for Variance {
    fn name(&self) -> &str {
        "variance"
    }

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        reduced_shape(operands[0], &self.axes, self.keep)
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        reduce::variance(operands.f32(0), operands.shape(0), &self.axes, output.f32());
        Ok(())
    }

    /// dx = dy · 2 (x − mean) / count
    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        let (x, dy) = (at.operand(0), at.cotangent());
        let share = dy * one_over_count(x, &self.axes) * 2.0;
        let centred = x - x.mean_keeping(&self.axes);
        vec![Some(centred * expand(share, x, &self.axes, self.keep))]
    }

    fn keeps_samples_apart(&self) -> bool {
        !self.axes.contains(&0)
    }

    fn flops(&self, operands: &[&[usize]], _output: &[usize]) -> u64 {
        4 * operands[0].iter().product::<usize>() as u64
    }
}

impl<'g> Var<'g> {
    /// The population variance over `axes`, which disappear.
    pub fn variance(self, axes: &[usize]) -> Var<'g> {
        let axes = sorted(axes);
        self.graph().apply(Variance { axes, keep: false }, &[self])
    }

    /// The population variance over `axes`, which stay with size 1.
    pub fn variance_keeping(self, axes: &[usize]) -> Var<'g> {
        let axes = sorted(axes);
        self.graph().apply(Variance { axes, keep: true }, &[self])
    }
}
