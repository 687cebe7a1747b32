//! Convolutions and their two gradients, channels last.
//!
//! Inputs are `[samples, depth, height, width, channels]`, kernels `[depth, height, width,
//! channels / groups, filters]`; a smaller number of spatial axes has sizes of 1 in front. The three
//! functions are the three views of one sum over products `x · k · y`, so each is the gradient of
//! the others.
//!
//! # One tile
//!
//! A convolution is a matrix product. Each row of its left operand is a *patch*: what the window sees
//! for one output pixel. Patches are never written out: the tile kernel reads them in the input, run by
//! run. Here a 3×3 window with a stride of 1 over rows of six pixels `a … f` with `C` channels; the tile
//! has four rows (output pixels 1 to 4 of a row) and two vectors of filters:
//!
//! ```text
//!  input                                     kernel, a panel        output, a tile
//!  row 0   a0  b0  c0  d0  e0  f0            (two vectors wide)     ┌────────┬────────┐
//!  row 1   a1  b1  c1  d1  e1  f1            run 0  3·C rows        │ pixel 1│        │
//!  row 2   a2  b2  c2  d2  e2  f2            run 1  3·C rows        │ pixel 2│  sums  │
//!                                            run 2  3·C rows        │ pixel 3│        │
//!  patch of pixel 1:  a0 b0 c0 │ a1 b1 c1 │ a2 b2 c2                │ pixel 4│        │
//!  patch of pixel 2:  b0 c0 d0 │ b1 c1 d1 │ b2 c2 d2                └────────┴────────┘
//!  patch of pixel 3:  c0 d0 e0 │ c1 d1 e1 │ c2 d2 e2
//!  patch of pixel 4:  d0 e0 f0 │ d1 e1 f1 │ d2 e2 f2
//!                      run 0      run 1      run 2
//! ```
//!
//! All rows of the tile advance through a run together: step `k` multiplies value `k` of each patch by
//! row `k` of the panel. The next patch begins `stride · C` values further (`a_row` of the tile), the next
//! run one row of the input further (`runs`), and `3 · C` rows of the panel further (`b_run`).
//!
//! # Words
//!
//! - **pixel**: one place of the input or output, with all its values.
//! - **window**, **tap**: what an output pixel sees; a place in it, and so of the kernel ([`Window`] and
//!   poolings, which have no kernel, call pixels and taps cells).
//! - **patch**: the values that one window sees. **Run**: such of them as lie next to each other: the taps
//!   of a row with their channels, or one tap's where these are apart (dilation, groups).
//! - **tile**: elements of the result whose sums stay in registers together.
//! - **strip**: filters that are computed in tiles of one width.
//! - **panel**: the kernel's columns for two vectors of filters, packed row by row.
//! - **block**: what is gone through at a time so that it stays in a cache: a *k block* of the
//!   sums' products, a *pixel block* of the weight gradient's.
//! - **region**: a rectangle of output pixels; a task has one or a few.
//! - **phase**: the input pixels with the same remainder by the strides. They are seen through the same
//!   taps, so that the input gradient is a plain convolution for each phase.
//! - **receptive field**: the input pixels that some output pixels see.

mod depthwise;
mod direct;
pub(in crate::kernels) mod geometry;
mod input_gradient;
mod packed;
mod patches;
mod phase;
mod pixel_block;
mod reference;
#[cfg(test)]
mod tests;
mod weight_gradient;
mod winograd;

pub use input_gradient::input_gradient;
pub use packed::PackedKernel;
pub use weight_gradient::weight_gradient;
pub use winograd::{WinogradKernel, winograd};

pub use reference::{
    convolution as reference, input_gradient as reference_input_gradient,
    weight_gradient as reference_weight_gradient,
};

use super::matmul::Epilogue;
use super::window::Window;

/// The shape of a convolution's kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelShape {
    /// Channels of the input.
    pub channels: usize,
    /// Channels of the output.
    pub filters: usize,
    /// The number of groups that channels and filters are divided into; each group of filters sees
    /// its group of channels. As many groups as channels is a depthwise convolution.
    pub groups: usize,
    /// Which pixels of the input an output pixel sees.
    pub window: Window,
}

impl KernelShape {
    /// The channels that a filter sees.
    pub fn group_channels(&self) -> usize {
        self.channels / self.groups.max(1)
    }

    /// The filters of a group.
    pub fn group_filters(&self) -> usize {
        self.filters / self.groups.max(1)
    }

    /// Elements of the kernel.
    pub fn len(&self) -> usize {
        self.window.cells() * self.group_channels() * self.filters
    }

    /// Whether the kernel has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether each channel has kernels of its own.
    fn is_depthwise(&self) -> bool {
        self.groups == self.channels && self.groups > 1
    }
}

/// The sizes of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvolutionSizes {
    /// The number of samples.
    pub samples: usize,
    /// The spatial sizes of the input.
    pub input: [usize; 3],
    /// The spatial sizes of the output.
    pub output: [usize; 3],
    /// The kernel, and how its window moves.
    pub kernel: KernelShape,
}

impl ConvolutionSizes {
    /// The sizes for an input; `None` if the window does not fit in it.
    pub fn new(samples: usize, input: [usize; 3], kernel: KernelShape) -> Option<Self> {
        let mut output = [0; 3];
        for axis in 0..3 {
            output[axis] = kernel.window.output_size(axis, input[axis])?;
        }
        Some(ConvolutionSizes {
            samples,
            input,
            output,
            kernel,
        })
    }

    /// Elements of the input.
    pub fn input_len(&self) -> usize {
        self.samples * self.input.iter().product::<usize>() * self.kernel.channels
    }

    /// Elements of the output.
    pub fn output_len(&self) -> usize {
        self.samples * self.output.iter().product::<usize>() * self.kernel.filters
    }

    /// # Panics
    /// If the sizes contradict each other or the slices.
    fn check(&self, x: usize, kernel: usize, y: usize) {
        let KernelShape {
            channels,
            filters,
            groups,
            ..
        } = self.kernel;
        let fitting = ConvolutionSizes::new(self.samples, self.input, self.kernel);
        assert_eq!(fitting, Some(*self), "convolution: output size");
        let divides = |count: usize| groups > 0 && count.is_multiple_of(groups);
        assert!(divides(channels) && divides(filters), "convolution: groups");
        assert_eq!(x, self.input_len(), "convolution: length of the input");
        assert_eq!(
            kernel,
            self.kernel.len(),
            "convolution: length of the kernel"
        );
        assert_eq!(y, self.output_len(), "convolution: length of the output");
    }

    /// # Panics
    /// If the sizes contradict each other or the slices.
    fn check_fused(&self, x: &[f32], y: &[f32], epilogue: &Epilogue<'_>, residual: Option<&[f32]>) {
        self.check(x.len(), self.kernel.len(), y.len());
        if let Some(bias) = epilogue.bias {
            let filters = self.kernel.filters;
            assert_eq!(bias.len(), filters, "convolution: length of the bias");
        }
        if let Some(residual) = residual {
            let length = residual.len();
            assert_eq!(length, y.len(), "convolution: length of the residual");
        }
    }
}

/// `y[n, i, f] = Σ x[n, i · stride − before + j · dilation, c] · kernel[j, c, f]`.
///
/// # Panics
/// If sizes and slices contradict each other; likewise for the gradients.
pub fn convolution(sizes: &ConvolutionSizes, x: &[f32], kernel: &[f32], y: &mut [f32]) {
    let packed = PackedKernel::new(&sizes.kernel, kernel);
    convolution_fused(sizes, x, &packed, y, &Epilogue::default(), None);
}

/// `y = activation(convolution + bias + residual)` with a kernel packed before, where `residual` has the shape of
/// `y`; the same bits as [`convolution`] followed by these one after the other.
///
/// # Panics
/// As [`convolution`], and if the kernel was packed in another shape, the bias does not have one value per
/// filter, or the residual not as many as `y`.
pub fn convolution_fused(
    sizes: &ConvolutionSizes,
    x: &[f32],
    kernel: &PackedKernel,
    y: &mut [f32],
    epilogue: &Epilogue<'_>,
    residual: Option<&[f32]>,
) {
    sizes.check_fused(x, y, epilogue, residual);
    kernel.apply(sizes, x, y, epilogue, residual);
}
