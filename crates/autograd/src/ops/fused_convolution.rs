//! A convolution with the bias, the sum with a residual and the activation after it in one pass, its kernel possibly
//! packed once for all calls.

use std::fmt;
use std::sync::Arc;

use regraft_tensor::kernels::convolution::{KernelShape, PackedKernel, convolution_fused};
use regraft_tensor::kernels::matmul::{Epilogue, EpilogueActivation};
use regraft_tensor::kernels::window::Window;
use regraft_tensor::{Detail, Tensor};

use super::convolution::{output_sizes, sizes, spatial, with_spatial};
use crate::ops::Convolution;
use crate::origin::made_once;
use crate::{Attribute, Attributes, Forward, Op, Origin, Output, Shape, attributes};

/// y = activation([`Convolution`] + bias + residual). Passes make it after differentiation; it has no gradient of
/// its own.
#[derive(Clone)]
pub struct FusedConvolution {
    window: Window,
    groups: usize,
    /// The kernel, if it is constant, with its number of filters; otherwise it is operand 1.
    packed: Option<(Arc<PackedKernel>, usize)>,
    /// Whether there is a bias: the operand after those.
    bias: bool,
    /// Whether there is a residual, of the shape of the result: the last operand.
    residual: bool,
    activation: EpilogueActivation,
}

impl FusedConvolution {
    /// A convolution whose constant `kernel` is packed here (once for all of this origin), or which takes
    /// it as operand 1.
    pub fn new(
        window: Window,
        groups: usize,
        kernel: Option<(&Tensor, Option<&Origin>)>,
        (bias, residual): (bool, bool),
        activation: EpilogueActivation,
    ) -> Self {
        let pack = |(kernel, origin): (&Tensor, Option<&Origin>)| {
            let (channels, filters) = match *kernel.shape() {
                [.., channels, filters] => (channels * groups, filters),
                _ => (groups, 1),
            };
            let shape = KernelShape {
                channels,
                filters,
                groups,
                window,
            };
            let how = format!("kernel groups={groups} window={}", Attribute::from(window));
            let pack = || PackedKernel::new(&shape, kernel.as_slice());
            (made_once(origin, &how, pack), filters)
        };
        FusedConvolution {
            window,
            groups,
            packed: kernel.map(pack),
            bias,
            residual,
            activation,
        }
    }
}

impl fmt::Debug for FusedConvolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FusedConvolution")
            .field("window", &self.window)
            .field("groups", &self.groups)
            // The kernel itself would be pages of numbers.
            .field(
                "packed",
                &self.packed.as_ref().map(|(it, _)| Arc::as_ptr(it)),
            )
            .field("bias", &self.bias)
            .field("residual", &self.residual)
            .field("activation", &self.activation)
            .finish()
    }
}

impl Op for FusedConvolution {
    fn name(&self) -> &str {
        match (self.groups, self.packed.is_some()) {
            (1, true) => "fused_convolution_packed",
            (1, false) => "fused_convolution",
            (_, true) => "fused_grouped_convolution_packed",
            (_, false) => "fused_grouped_convolution",
        }
    }

    /// None with a packed kernel, which is not compared.
    fn attributes(&self) -> Option<Attributes> {
        self.identity(&mut |_| ()).filter(|_| self.packed.is_none())
    }

    fn identity(&self, held: &mut dyn FnMut(&[f32])) -> Option<Attributes> {
        let Self {
            window,
            groups,
            packed,
            bias,
            residual,
            activation,
        } = self;
        let settings = Attributes::none()
            .with("window", *window)
            .with("groups", *groups)
            .with("bias", *bias)
            .with("residual", *residual)
            .with("activation", attributes::activation(*activation)?);
        if let Some((packed, _)) = packed {
            packed.arrays().for_each(held);
        }
        Some(settings)
    }

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        match &self.packed {
            Some((_, filters)) => {
                let (input, _) = spatial(operands[0])?;
                let output = output_sizes(&self.window, input)?;
                Ok(with_spatial(operands[0], output, *filters))
            }
            None => Convolution {
                window: self.window,
                groups: self.groups,
            }
            .shape(&operands[..2]),
        }
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let sizes = sizes(self.window, self.groups, operands.shape(0), output.shape);
        let last = operands.len() - 1;
        let epilogue = Epilogue {
            bias: self
                .bias
                .then(|| operands.f32(last - usize::from(self.residual))),
            activation: self.activation,
        };
        let residual = self.residual.then(|| operands.f32(last));
        let fused = |kernel: &PackedKernel, y: &mut [f32]| {
            convolution_fused(&sizes, operands.f32(0), kernel, y, &epilogue, residual);
        };
        match &self.packed {
            Some((kernel, _)) => fused(kernel, output.f32()),
            None => {
                let kernel = PackedKernel::new(&sizes.kernel, operands.f32(1));
                fused(&kernel, output.f32());
            }
        }
        Ok(())
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }

    fn constant_elements(&self) -> usize {
        self.packed
            .as_ref()
            .map_or(0, |(kernel, _)| kernel.elements())
    }

    fn flops(&self, operands: &[&[usize]], output: &[usize]) -> u64 {
        let channels = operands[0].last().copied().unwrap_or(0) / self.groups.max(1);
        2 * (output.iter().product::<usize>() * self.window.cells() * channels) as u64
    }
}
