//! Variances over axes, the batch included.

use regraft_tensor::Detail;
use regraft_tensor::kernels::reduce;

use crate::ops::mean::one_over_count;
use crate::ops::sum::{expand, reduced_shape, sorted};
use crate::{Forward, Gradient, Op, Output, Shape, Var, attributes};

/// The population variance `mean((x − m)²)` over `axes`, which stay with size 1 if `keep` says so,
/// from x and its mean m (with the axes kept). Going over x a second time, a mean far from zero
/// costs no accuracy, and whoever uses both computes the mean once.
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

    attributes!(axes, keep);

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        let [x, mean] = operands else {
            return Err(Detail::new("", "2 operands", operands.len()));
        };
        let expected = reduced_shape(x, &self.axes, true)?;
        if **mean != expected {
            return Err(Detail::new("", format!("a mean of {expected}"), mean));
        }
        reduced_shape(x, &self.axes, self.keep)
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let (x, shape, means) = (operands.f32(0), operands.shape(0), operands.f32(1));
        reduce::variance_around(x, shape, &self.axes, means, output.f32());
        Ok(())
    }

    /// dx = dy · 2 (x − m) / count. With respect to m it is 0, because m is the mean.
    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        let (x, dy) = (at.operand(0), at.cotangent());
        let share = dy * one_over_count(x, &self.axes) * 2.0;
        let centred = x - at.operand(1);
        vec![
            at.when(0, || centred * expand(share, x, &self.axes, self.keep)),
            None,
        ]
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
        self.variance_over(axes, false)
    }

    /// The population variance over `axes`, which stay with size 1.
    pub fn variance_keeping(self, axes: &[usize]) -> Var<'g> {
        self.variance_over(axes, true)
    }

    fn variance_over(self, axes: &[usize], keep: bool) -> Var<'g> {
        let axes = sorted(axes);
        self.graph().scope("variance", || {
            let mean = self.mean_keeping(&axes);
            self.graph().apply(Variance { axes, keep }, &[self, mean])
        })
    }
}
