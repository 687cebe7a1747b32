//! The mean of each window, and its gradient, which is its transpose.

use regraft_tensor::Detail;
use regraft_tensor::kernels::pooling::{self, Pooling};
use regraft_tensor::kernels::window::Window;

use crate::ops::convolution::{concrete, output_sizes, spatial, with_spatial};
use crate::{Forward, Gradient, Op, Output, Shape, Var, attributes};

/// `y[n, i, c] = mean over j of x[n, i · stride − before + j · dilation, c]`, for `x` of
/// `[batch, …spatial, channels]`; cells outside the input are left out of the mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AveragePool {
    /// Which cells an output cell sees.
    pub window: Window,
}

/// The gradient of an [`AveragePool`]: every cell of a window gets an equal share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AveragePoolGradient {
    /// The window of the pooling.
    pub window: Window,
    /// The spatial sizes of the pooling's input, as many at the end as there are.
    pub input: [usize; 3],
}

/// The sizes of a pooling at run time.
pub(super) fn sizes(window: Window, x: &[usize], y: &[usize]) -> Pooling {
    let ((samples, input, channels), (_, output, _)) = (concrete(x), concrete(y));
    Pooling {
        samples,
        input,
        output,
        channels,
        window,
    }
}

impl Op for AveragePool {
    fn name(&self) -> &str {
        "average_pool"
    }

    attributes!(window);

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        let x = operands[0];
        let (input, channels) = spatial(x)?;
        Ok(with_spatial(
            x,
            output_sizes(&self.window, input)?,
            channels,
        ))
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let sizes = sizes(self.window, operands.shape(0), output.shape);
        pooling::mean(&sizes, operands.f32(0), output.f32());
        Ok(())
    }

    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        let dy = at.cotangent();
        // The shape rule has found it fit.
        let input = spatial(&at.operand(0).shape()).map_or([0; 3], |(input, _)| input);
        let window = self.window;
        let gradient = AveragePoolGradient { window, input };
        vec![Some(dy.graph().apply(gradient, &[dy]))]
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }

    fn flops(&self, _operands: &[&[usize]], output: &[usize]) -> u64 {
        (output.iter().product::<usize>() * self.window.cells()) as u64
    }
}

impl Op for AveragePoolGradient {
    fn name(&self) -> &str {
        "average_pool_gradient"
    }

    attributes!(window, input);

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        let dy = operands[0];
        let (output, channels) = spatial(dy)?;
        if output_sizes(&self.window, self.input)? != output {
            let expected = format!("what the window makes of {:?} cells", self.input);
            return Err(Detail::new("", expected, dy));
        }
        Ok(with_spatial(dy, self.input, channels))
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let sizes = sizes(self.window, output.shape, operands.shape(0));
        pooling::mean_gradient(&sizes, operands.f32(0), output.f32());
        Ok(())
    }

    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        vec![Some(at.cotangent().average_pool(self.window))]
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }

    fn flops(&self, operands: &[&[usize]], _output: &[usize]) -> u64 {
        (operands[0].iter().product::<usize>() * self.window.cells()) as u64
    }
}

impl<'g> Var<'g> {
    /// The mean of each window of `[batch, …spatial, channels]`. Cells outside the input are left
    /// out of the mean, as in TensorFlow.
    pub fn average_pool(self, window: Window) -> Var<'g> {
        self.graph().apply(AveragePool { window }, &[self])
    }
}
