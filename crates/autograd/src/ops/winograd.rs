//! A convolution with a constant 3×3 kernel by Winograd's minimal filtering, with all that ends it.

use std::fmt;
use std::sync::Arc;

use regraft_tensor::Detail;
use regraft_tensor::kernels::convolution::{WinogradKernel, winograd};
use regraft_tensor::kernels::matmul::{Epilogue, EpilogueActivation};
use regraft_tensor::kernels::window::Window;

use super::convolution::{output_sizes, sizes, spatial, with_spatial};
use crate::{Attributes, Forward, Op, Output, Shape, attributes};

/// y = activation(convolution + bias + residual), where the convolution is computed with 16 multiplications for four
/// pixels instead of 36: near the sums of [`Convolution`](crate::ops::Convolution), not their bits.
/// [`winograd`](crate::passes::winograd) makes it; it has no gradient.
#[derive(Clone)]
pub struct WinogradConvolution {
    pub(crate) kernel: Arc<WinogradKernel>,
    /// Whether there is a bias: operand 1.
    pub(crate) bias: bool,
    /// Whether there is a residual, of the shape of the result: the last operand.
    pub(crate) residual: bool,
    pub(crate) activation: EpilogueActivation,
}

impl WinogradConvolution {
    /// Multiplications and additions for concrete sizes of operand 0 and the result.
    pub(crate) fn operations(window: Window, x: &[usize], y: &[usize]) -> u64 {
        WinogradKernel::operations(&sizes(window, 1, x, y))
    }
}

impl fmt::Debug for WinogradConvolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WinogradConvolution")
            // The kernel itself would be pages of numbers.
            .field("kernel", &Arc::as_ptr(&self.kernel))
            .field("window", &self.kernel.shape().window)
            .field("bias", &self.bias)
            .field("residual", &self.residual)
            .field("activation", &self.activation)
            .finish()
    }
}

impl Op for WinogradConvolution {
    fn name(&self) -> &str {
        "winograd_convolution"
    }

    fn identity(&self, held: &mut dyn FnMut(&[f32])) -> Option<Attributes> {
        let Self {
            kernel,
            bias,
            residual,
            activation,
        } = self;
        let settings = Attributes::none()
            .with("window", kernel.shape().window)
            .with("bias", *bias)
            .with("residual", *residual)
            .with("activation", attributes::activation(*activation)?);
        kernel.arrays().for_each(held);
        Some(settings)
    }

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        let shape = self.kernel.shape();
        let count = 1 + usize::from(self.bias) + usize::from(self.residual);
        if operands.len() != count {
            return Err(Detail::new("", format!("{count} operands"), operands.len()));
        }
        let (input, channels) = spatial(operands[0])?;
        if channels != shape.channels {
            let expected = format!("{} channels", shape.channels);
            return Err(Detail::new("", expected, operands[0]));
        }
        let output = output_sizes(&shape.window, input)?;
        Ok(with_spatial(operands[0], output, shape.filters))
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let window = self.kernel.shape().window;
        let sizes = sizes(window, 1, operands.shape(0), output.shape);
        let epilogue = Epilogue {
            bias: self.bias.then(|| operands.f32(1)),
            activation: self.activation,
        };
        let residual = self.residual.then(|| operands.f32(operands.len() - 1));
        let (x, y) = (operands.f32(0), output.f32());
        winograd(&sizes, x, &self.kernel, y, &epilogue, residual);
        Ok(())
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }

    fn constant_elements(&self) -> usize {
        self.kernel.elements()
    }

    fn flops(&self, operands: &[&[usize]], output: &[usize]) -> u64 {
        Self::operations(self.kernel.shape().window, operands[0], output)
    }
}
