//! Convolutions and their two gradients, channels last.
//!
//! Inputs are `[samples, depth, height, width, channels]`, kernels `[depth, height, width,
//! channels / groups, filters]`; a smaller number of spatial axes has sizes of 1 in front. The three
//! functions are the three views of one sum over products `x · k · y`, so each is the gradient of
//! the others.

mod band;
mod depthwise;
mod direct;
mod input_gradient;
mod packed;
mod piece;
mod reference;
#[cfg(test)]
mod tests;
mod weight_gradient;

pub use input_gradient::input_gradient;
pub use packed::PackedKernel;
pub use weight_gradient::weight_gradient;

pub use reference::{
    convolution as reference, input_gradient as reference_input_gradient,
    weight_gradient as reference_weight_gradient,
};

use super::matmul::Epilogue;
use super::window::Window;

/// The sizes of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convolution {
    /// The number of samples.
    pub samples: usize,
    /// The spatial sizes of the input.
    pub input: [usize; 3],
    /// The spatial sizes of the output.
    pub output: [usize; 3],
    /// Channels of the input.
    pub channels: usize,
    /// Channels of the output.
    pub filters: usize,
    /// The number of groups that channels and filters are divided into; each group of filters sees
    /// its group of channels. As many groups as channels is a depthwise convolution.
    pub groups: usize,
    /// Which cells an output cell sees.
    pub window: Window,
}

impl Convolution {
    /// Elements of the input.
    pub fn input_len(&self) -> usize {
        self.samples * self.input.iter().product::<usize>() * self.channels
    }

    /// Elements of the output.
    pub fn output_len(&self) -> usize {
        self.samples * self.output.iter().product::<usize>() * self.filters
    }

    /// Elements of the kernel.
    pub fn kernel_len(&self) -> usize {
        self.window.cells() * self.channels / self.groups.max(1) * self.filters
    }

    /// # Panics
    /// If the sizes contradict each other or the slices.
    fn check(&self, x: usize, kernel: usize, y: usize) {
        for axis in 0..3 {
            let output = self.window.output_size(axis, self.input[axis]);
            assert_eq!(output, Some(self.output[axis]), "convolution: output size");
        }
        let divides = |count: usize| self.groups > 0 && count.is_multiple_of(self.groups);
        assert!(
            divides(self.channels) && divides(self.filters),
            "convolution: groups"
        );
        assert_eq!(x, self.input_len(), "convolution: length of the input");
        assert_eq!(
            kernel,
            self.kernel_len(),
            "convolution: length of the kernel"
        );
        assert_eq!(y, self.output_len(), "convolution: length of the output");
    }
}

/// `y[n, i, f] = Σ x[n, i · stride − before + j · dilation, c] · kernel[j, c, f]`.
///
/// # Panics
/// If sizes and slices contradict each other; likewise for the gradients.
pub fn convolution(sizes: &Convolution, x: &[f32], kernel: &[f32], y: &mut [f32]) {
    let packed = PackedKernel::new(sizes, kernel);
    convolution_fused(sizes, x, &packed, y, &Epilogue::default());
}

/// `y = activation(convolution + bias)` with a kernel packed before; the same bits as
/// [`convolution`] followed by both.
///
/// # Panics
/// As [`convolution`], and if the bias does not have one value per filter.
pub fn convolution_fused(
    sizes: &Convolution,
    x: &[f32],
    kernel: &PackedKernel,
    y: &mut [f32],
    epilogue: &Epilogue<'_>,
) {
    sizes.check(x.len(), sizes.kernel_len(), y.len());
    if let Some(bias) = epilogue.bias {
        assert_eq!(bias.len(), sizes.filters, "convolution: length of the bias");
    }
    kernel.apply(sizes, x, y, epilogue);
}
