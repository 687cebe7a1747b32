//! Convolutions, channels last, over one, two or three spatial axes: the op that layers use and its
//! two gradients, each of which is differentiable through the other two.

use regraft_tensor::Detail;
use regraft_tensor::kernels::convolution::{
    ConvolutionSizes, KernelShape, convolution, input_gradient, weight_gradient,
};
use regraft_tensor::kernels::window::Window;

use crate::{Dim, Forward, Gradient, Op, Output, Shape, Var, attributes};

/// `y[n, i, f] = Σ x[n, i · stride − before + j · dilation, c] · kernel[j, c, f]`: `x` is
/// `[batch, …spatial, channels]`, the kernel `[…window, channels / groups, filters]`. With as many
/// groups as channels it is a depthwise convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convolution {
    /// Which cells an output cell sees.
    pub window: Window,
    /// The number of groups that channels and filters are divided into.
    pub groups: usize,
}

/// The gradient of a [`Convolution`] with respect to its input, from that of its result and the
/// kernel; as a layer, the transposed convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvolutionInputGradient {
    /// The window of the convolution.
    pub window: Window,
    /// The groups of the convolution.
    pub groups: usize,
    /// The spatial sizes of the convolution's input, as many at the end as there are.
    pub input: [usize; 3],
}

/// The gradient of a [`Convolution`] with respect to its kernel, from its input and the gradient of
/// its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvolutionWeightGradient {
    /// The window of the convolution.
    pub window: Window,
    /// The groups of the convolution.
    pub groups: usize,
}

/// The spatial sizes at the end of three, and the channels, of `[batch, …spatial, channels]`.
pub(super) fn spatial(x: &Shape) -> Result<([usize; 3], usize), Detail> {
    let wrong = || {
        let expected = "(batch, …spatial, channels) with one to three spatial axes";
        Detail::new("", expected, x)
    };
    let (spatial, channels) = match x.dims() {
        [_, spatial @ .., Dim::Fixed(channels)] if (1..=3).contains(&spatial.len()) => {
            (spatial, *channels)
        }
        _ => return Err(wrong()),
    };
    let mut sizes = [1; 3];
    for (size, dim) in sizes[3 - spatial.len()..].iter_mut().zip(spatial) {
        match dim {
            Dim::Fixed(fixed) => *size = *fixed,
            Dim::Batch | Dim::PerSample(_) => return Err(wrong()),
        }
    }
    Ok((sizes, channels))
}

/// `[batch, …spatial, channels]` with other spatial sizes and channels.
pub(super) fn with_spatial(x: &Shape, sizes: [usize; 3], channels: usize) -> Shape {
    let axes = x.rank() - 2;
    let spatial = sizes[3 - axes..].iter().map(|&size| Dim::Fixed(size));
    let ends = (x.dims()[0], Dim::Fixed(channels));
    std::iter::once(ends.0)
        .chain(spatial)
        .chain([ends.1])
        .collect()
}

/// The spatial sizes of what `window` makes of `input`.
pub(super) fn output_sizes(window: &Window, input: [usize; 3]) -> Result<[usize; 3], Detail> {
    let mut output = [0; 3];
    for axis in 0..3 {
        output[axis] = window.output_size(axis, input[axis]).ok_or_else(|| {
            let expected = format!(
                "an input of at least {} cells along spatial axis {axis} of 3, and strides and sizes of at least 1",
                window.reach(axis)
            );
            Detail::new("", expected, format!("{} cells", input[axis]))
                .help("the window does not fit into the input: use a larger input, or \"same\" padding")
        })?;
    }
    Ok(output)
}

/// The sizes of axes `[batch, …spatial, channels]` at run time.
pub(super) fn concrete(shape: &[usize]) -> (usize, [usize; 3], usize) {
    let mut spatial = [1; 3];
    let inner = &shape[1..shape.len() - 1];
    spatial[3 - inner.len()..].copy_from_slice(inner);
    (shape[0], spatial, shape[shape.len() - 1])
}

/// The sizes for the kernels.
pub(super) fn sizes(window: Window, groups: usize, x: &[usize], y: &[usize]) -> ConvolutionSizes {
    let ((samples, input, channels), (_, output, filters)) = (concrete(x), concrete(y));
    ConvolutionSizes {
        samples,
        input,
        output,
        kernel: KernelShape {
            channels,
            filters,
            groups,
            window,
        },
    }
}

/// What a kernel's shape says: its window's sizes, channels per group and filters.
fn kernel_sizes(kernel: &Shape, rank: usize) -> Result<([usize; 3], usize, usize), Detail> {
    let fixed = kernel.fixed().filter(|sizes| sizes.len() == rank);
    let Some(sizes) = fixed else {
        return Err(Detail::new("", format!("a kernel of {rank} axes"), kernel));
    };
    let mut window = [1; 3];
    let inner = &sizes[..rank - 2];
    window[3 - inner.len()..].copy_from_slice(inner);
    Ok((window, sizes[rank - 2], sizes[rank - 1]))
}

fn check_groups(groups: usize, channels: usize, filters: usize) -> Result<(), Detail> {
    let divides = |count: usize| groups > 0 && count.is_multiple_of(groups);
    match divides(channels) && divides(filters) {
        true => Ok(()),
        false => {
            let expected = format!("groups that divide {channels} channels and {filters} filters");
            Err(Detail::new("", expected, groups))
        }
    }
}

/// The multiplications and additions of a convolution.
fn flops(output: &[usize], kernel: &[usize]) -> u64 {
    let per_output: usize = kernel[..kernel.len() - 1].iter().product();
    2 * (output.iter().product::<usize>() * per_output) as u64
}

impl Op for Convolution {
    fn name(&self) -> &str {
        match self.groups {
            1 => "convolution",
            _ => "grouped_convolution",
        }
    }

    attributes!(window, groups);

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        let [x, kernel] = operands else {
            return Err(Detail::new("", "2 operands", operands.len()));
        };
        let (input, channels) = spatial(x)?;
        let (window, group_channels, filters) = kernel_sizes(kernel, x.rank())?;
        check_groups(self.groups, channels, filters)?;
        if group_channels * self.groups != channels {
            let expected = format!(
                "an input of {} channels, to go with a kernel {kernel}",
                group_channels * self.groups
            );
            return Err(Detail::new("", expected, x));
        }
        if window != self.window.size {
            let expected = format!("a kernel for a window of {:?}", self.window.size);
            return Err(Detail::new("", expected, kernel));
        }
        Ok(with_spatial(x, output_sizes(&self.window, input)?, filters))
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let sizes = sizes(self.window, self.groups, operands.shape(0), output.shape);
        convolution(&sizes, operands.f32(0), operands.f32(1), output.f32());
        Ok(())
    }

    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        let (x, kernel, dy) = (at.operand(0), at.operand(1), at.cotangent());
        let (graph, Convolution { window, groups }) = (dy.graph(), *self);
        // The shape rule has found them fit.
        let input = spatial(&x.shape()).map_or([0; 3], |(input, _)| input);
        let input_gradient = ConvolutionInputGradient {
            window,
            groups,
            input,
        };
        let weight_gradient = ConvolutionWeightGradient { window, groups };
        vec![
            at.when(0, || graph.apply(input_gradient, &[dy, kernel])),
            at.when(1, || graph.apply(weight_gradient, &[x, dy])),
        ]
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }

    fn flops(&self, operands: &[&[usize]], output: &[usize]) -> u64 {
        flops(output, operands[1])
    }
}

impl Op for ConvolutionInputGradient {
    fn name(&self) -> &str {
        "convolution_input_gradient"
    }

    attributes!(window, groups, input);

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        let [dy, kernel] = operands else {
            return Err(Detail::new("", "2 operands", operands.len()));
        };
        let (output, filters) = spatial(dy)?;
        let (window, group_channels, kernel_filters) = kernel_sizes(kernel, dy.rank())?;
        let channels = group_channels * self.groups;
        check_groups(self.groups, channels, filters)?;
        if filters != kernel_filters {
            let expected = format!("{kernel_filters} channels, to go with a kernel {kernel}");
            return Err(Detail::new("", expected, dy));
        }
        if window != self.window.size {
            let expected = format!("a kernel for a window of {:?}", self.window.size);
            return Err(Detail::new("", expected, kernel));
        }
        if output_sizes(&self.window, self.input)? != output {
            let expected = format!("what the window makes of {:?} cells", self.input);
            return Err(Detail::new("", expected, dy));
        }
        Ok(with_spatial(dy, self.input, channels))
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let sizes = sizes(self.window, self.groups, output.shape, operands.shape(0));
        input_gradient(&sizes, operands.f32(0), operands.f32(1), output.f32());
        Ok(())
    }

    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        let (dy, kernel, v) = (at.operand(0), at.operand(1), at.cotangent());
        let graph = v.graph();
        let (window, groups) = (self.window, self.groups);
        vec![
            at.when(0, || {
                graph.apply(Convolution { window, groups }, &[v, kernel])
            }),
            at.when(1, || {
                graph.apply(ConvolutionWeightGradient { window, groups }, &[v, dy])
            }),
        ]
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }

    fn flops(&self, operands: &[&[usize]], _output: &[usize]) -> u64 {
        flops(operands[0], operands[1])
    }
}

impl Op for ConvolutionWeightGradient {
    fn name(&self) -> &str {
        "convolution_weight_gradient"
    }

    attributes!(window, groups);

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        let [x, dy] = operands else {
            return Err(Detail::new("", "2 operands", operands.len()));
        };
        let ((input, channels), (output, filters)) = (spatial(x)?, spatial(dy)?);
        check_groups(self.groups, channels, filters)?;
        if output_sizes(&self.window, input)? != output || x.dims()[0] != dy.dims()[0] {
            let expected = format!("what the window makes of {x}");
            return Err(Detail::new("", expected, dy));
        }
        let window = &self.window.size[3 - (x.rank() - 2)..];
        let ends = [channels / self.groups, filters];
        Ok(window
            .iter()
            .chain(&ends)
            .map(|&size| Dim::Fixed(size))
            .collect())
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let (x, dy) = (operands.shape(0), operands.shape(1));
        let sizes = sizes(self.window, self.groups, x, dy);
        weight_gradient(&sizes, operands.f32(0), operands.f32(1), output.f32());
        Ok(())
    }

    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        let (x, dy, v) = (at.operand(0), at.operand(1), at.cotangent());
        let graph = v.graph();
        let (window, groups) = (self.window, self.groups);
        let input = spatial(&x.shape()).map_or([0; 3], |(input, _)| input);
        let input_gradient = ConvolutionInputGradient {
            window,
            groups,
            input,
        };
        vec![
            at.when(0, || graph.apply(input_gradient, &[dy, v])),
            at.when(1, || graph.apply(Convolution { window, groups }, &[x, v])),
        ]
    }

    fn flops(&self, operands: &[&[usize]], output: &[usize]) -> u64 {
        flops(operands[1], output)
    }
}

impl<'g> Var<'g> {
    /// The convolution of `[batch, …spatial, channels]` with a kernel
    /// `[…window, channels / groups, filters]`.
    pub fn convolution(self, kernel: Var<'g>, window: Window, groups: usize) -> Var<'g> {
        self.graph()
            .apply(Convolution { window, groups }, &[self, kernel])
    }

    /// The convolution of each channel with kernels of its own: the kernel is
    /// `[…window, channels, multiplier]`, and filter `m` of channel `c` gives channel
    /// `c · multiplier + m`.
    pub fn depthwise_convolution(self, kernel: Var<'g>, window: Window) -> Var<'g> {
        let mut sizes = kernel.shape().fixed().unwrap_or_default();
        let Some(&[channels, multiplier]) = sizes.last_chunk() else {
            // The shape rule says what is wrong with the kernel.
            return self.convolution(kernel, window, 1);
        };
        let axes = sizes.len() - 2;
        sizes[axes..].copy_from_slice(&[1, channels * multiplier]);
        self.convolution(kernel.reshape(&sizes), window, channels)
    }

    /// The transposed convolution: the gradient of a convolution with respect to its input, which
    /// has spatial sizes `output` (as many as there are spatial axes). The kernel is
    /// `[…window, filters / groups, channels]` with `self` of `channels`.
    pub fn convolution_transposed(
        self,
        kernel: Var<'g>,
        window: Window,
        groups: usize,
        output: &[usize],
    ) -> Var<'g> {
        let mut input = [1; 3];
        if output.len() <= 3 {
            input[3 - output.len()..].copy_from_slice(output);
        }
        let op = ConvolutionInputGradient {
            window,
            groups,
            input,
        };
        self.graph().apply(op, &[self, kernel])
    }
}
