//! The largest and the smallest value along axes.

use regraft_tensor::Detail;
use regraft_tensor::kernels::reduce;

use crate::ops::sum::{expand, reduced_shape, sorted};
use crate::{Forward, Gradient, Op, Output, Shape, Var, attributes};

/// The gradient of an extreme, divided equally among the elements that have it, as TensorFlow does.
fn among_ties<'g>(at: &Gradient<'g, '_>, axes: &[usize], keep: bool) -> Var<'g> {
    let (x, dy) = (at.operand(0), at.cotangent());
    let chosen = x.equal(expand(at.result(), x, axes, keep));
    let count = if keep {
        chosen.sum_keeping(axes)
    } else {
        chosen.sum(axes)
    };
    chosen * expand(dy / count, x, axes, keep)
}

/// Defines extremes over axes.
macro_rules! extreme {
    ($name:ident, $method:ident, $keeping:ident, $all:ident, $which:literal) => {
        #[doc = concat!("The ", $which, " value over `axes`, which stay with size 1 if `keep` says so; NaN where any is.")]
        #[derive(Clone, Debug)]
        pub struct $name {
            /// The axes reduced over, ascending.
            pub axes: Vec<usize>,
            /// Whether they stay, with size 1.
            pub keep: bool,
        }

        impl Op for $name {
            fn name(&self) -> &str {
                stringify!($method)
            }

            attributes!(axes, keep);

            fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
                reduced_shape(operands[0], &self.axes, self.keep)
            }

            fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
                reduce::$method(operands.f32(0), operands.shape(0), &self.axes, output.f32());
                Ok(())
            }

            fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
                vec![Some(among_ties(at, &self.axes, self.keep))]
            }

            fn keeps_samples_apart(&self) -> bool {
                !self.axes.contains(&0)
            }

            fn flops(&self, operands: &[&[usize]], _output: &[usize]) -> u64 {
                operands[0].iter().product::<usize>() as u64
            }
        }

        impl<'g> Var<'g> {
            #[doc = concat!("The ", $which, " value over `axes`, which disappear; NaN where any is. Equal ones share the gradient.")]
            pub fn $method(self, axes: &[usize]) -> Var<'g> {
                let axes = sorted(axes);
                self.graph().apply($name { axes, keep: false }, &[self])
            }

            #[doc = concat!("The ", $which, " value over `axes`, which stay with size 1.")]
            pub fn $keeping(self, axes: &[usize]) -> Var<'g> {
                let axes = sorted(axes);
                self.graph().apply($name { axes, keep: true }, &[self])
            }

            #[doc = concat!("The ", $which, " of all elements, a number.")]
            pub fn $all(self) -> Var<'g> {
                let axes: Vec<usize> = (0..self.shape().rank()).collect();
                self.$method(&axes)
            }
        }
    };
}

extreme!(Max, max, max_keeping, max_all, "largest");
extreme!(Min, min, min_keeping, min_all, "smallest");
