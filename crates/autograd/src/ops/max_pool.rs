//! The largest value of each window, and the ops that its gradient needs.

use regraft_tensor::Detail;
use regraft_tensor::kernels::pooling;
use regraft_tensor::kernels::window::Window;

use crate::ops::average_pool::sizes;
use crate::ops::convolution::{output_sizes, spatial, with_spatial};
use crate::{Forward, Gradient, Op, Output, Shape, Var, attributes};

/// `y[n, i, c] = max over j of x[n, i · stride − before + j · dilation, c]`, for `x` of
/// `[batch, …spatial, channels]`; cells outside the input are left out, and NaN wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxPool {
    /// Which cells an output cell sees.
    pub window: Window,
}

/// `(dy, x) → dx`: the gradient of a [`MaxPool`] goes to the first largest value of each window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxPoolGradient {
    /// The window of the pooling.
    pub window: Window,
}

/// `(v, x) → y`: of each window, the element of `v` where `x` is largest first. It is the transpose
/// of [`MaxPoolGradient`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PickAtMax {
    /// The window of the pooling.
    pub window: Window,
}

/// The shape that pooling gives.
fn pooled(window: &Window, x: &Shape) -> Result<Shape, Detail> {
    let (input, channels) = spatial(x)?;
    Ok(with_spatial(x, output_sizes(window, input)?, channels))
}

impl Op for MaxPool {
    fn name(&self) -> &str {
        "max_pool"
    }

    attributes!(window);

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        pooled(&self.window, operands[0])
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let sizes = sizes(self.window, operands.shape(0), output.shape);
        pooling::max(&sizes, operands.f32(0), output.f32());
        Ok(())
    }

    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        let (x, dy) = (at.operand(0), at.cotangent());
        let window = self.window;
        vec![Some(dy.graph().apply(MaxPoolGradient { window }, &[dy, x]))]
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }

    fn flops(&self, _operands: &[&[usize]], output: &[usize]) -> u64 {
        (output.iter().product::<usize>() * self.window.cells()) as u64
    }
}

impl Op for MaxPoolGradient {
    fn name(&self) -> &str {
        "max_pool_gradient"
    }

    attributes!(window);

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        let [dy, x] = operands else {
            return Err(Detail::new("", "2 operands", operands.len()));
        };
        let expected = pooled(&self.window, x)?;
        match **dy == expected {
            true => Ok((*x).clone()),
            false => Err(Detail::new("", expected, dy)),
        }
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let sizes = sizes(self.window, output.shape, operands.shape(0));
        pooling::max_gradient(&sizes, operands.f32(0), operands.f32(1), output.f32());
        Ok(())
    }

    /// Linear in dy; constant in x wherever it is differentiable.
    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        let (x, v) = (at.operand(1), at.cotangent());
        let window = self.window;
        let pick = || v.graph().apply(PickAtMax { window }, &[v, x]);
        vec![at.when(0, pick), None]
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }

    fn flops(&self, operands: &[&[usize]], _output: &[usize]) -> u64 {
        (operands[0].iter().product::<usize>() * self.window.cells()) as u64
    }
}

impl Op for PickAtMax {
    fn name(&self) -> &str {
        "pick_at_max"
    }

    attributes!(window);

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        match operands {
            [v, x] if v == x => pooled(&self.window, x),
            [v, x] => Err(Detail::new("", x, v)),
            _ => Err(Detail::new("", "2 operands", operands.len())),
        }
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let sizes = sizes(self.window, operands.shape(0), output.shape);
        pooling::pick_at_max(&sizes, operands.f32(0), operands.f32(1), output.f32());
        Ok(())
    }

    /// Linear in v; constant in x wherever it is differentiable.
    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        let (x, dy) = (at.operand(1), at.cotangent());
        let window = self.window;
        let scatter = || dy.graph().apply(MaxPoolGradient { window }, &[dy, x]);
        vec![at.when(0, scatter), None]
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }

    fn flops(&self, _operands: &[&[usize]], output: &[usize]) -> u64 {
        (output.iter().product::<usize>() * self.window.cells()) as u64
    }
}

impl<'g> Var<'g> {
    /// The largest value of each window of `[batch, …spatial, channels]`. Cells outside the input
    /// never win; of equals, the first gets the gradient, as in TensorFlow.
    pub fn max_pool(self, window: Window) -> Var<'g> {
        self.graph().apply(MaxPool { window }, &[self])
    }
}
