//! The gradient of a convolution with respect to its input. That of a [phase](super::phase) is a convolution of
//! `dy` with the phase's taps of the kernel, with its channels and filters exchanged.

use super::direct::Direct;
use super::geometry::OutputLayout;
use super::phase::{Phase, phases};
use super::{ConvolutionSizes, depthwise, reference};
use crate::kernels::matmul::{Epilogue, Matrix, PackedMatrix};

/// The gradient with respect to the input: `dx` from `dy` and the kernel. As an op of its own it is
/// the transposed convolution.
///
/// # Panics
/// As [`convolution`](super::convolution).
pub fn input_gradient(sizes: &ConvolutionSizes, dy: &[f32], kernel: &[f32], dx: &mut [f32]) {
    sizes.check(dx.len(), kernel.len(), dy.len());
    let (shape, window) = (&sizes.kernel, sizes.kernel.window);
    // No layer of Keras has both strides and dilation.
    let both = (0..3).any(|axis| window.strides[axis] > 1 && window.dilation[axis] > 1);
    if both || shape.is_depthwise() && shape.filters != shape.channels {
        return reference::input_gradient(sizes, dy, kernel, dx);
    }
    if shape.is_depthwise() {
        return depthwise::input_gradient(sizes, dy, kernel, dx);
    }
    let (channels, filters) = (shape.group_channels(), shape.group_filters());
    for Phase {
        geometry,
        layout,
        taps,
    } in phases(sizes, dx)
    {
        let mut matrix = Vec::with_capacity(taps.len() * channels * filters);
        for group in 0..shape.groups {
            matrix.clear();
            for &tap in &taps {
                transpose(sizes, tap, group, kernel, &mut matrix);
            }
            let rows = taps.len() * filters;
            let direct = Direct {
                geometry,
                pixel: shape.filters,
                first_channel: group * filters,
                channels: filters,
                kernel: &PackedMatrix::new(Matrix::new(&matrix, rows, channels)),
                layout: OutputLayout {
                    first: layout.first + group * channels,
                    ..layout
                },
                epilogue: Epilogue::default(),
                residual: None,
            };
            direct.run(dy, dx);
        }
    }
}

/// Appends a tap of a group's kernel, with a row for each filter and a column for each channel.
fn transpose(
    sizes: &ConvolutionSizes,
    tap: usize,
    group: usize,
    kernel: &[f32],
    matrix: &mut Vec<f32>,
) {
    const BLOCK: usize = 16;
    let (channels, filters) = (sizes.kernel.group_channels(), sizes.kernel.group_filters());
    let all_filters = sizes.kernel.filters;
    let from = &kernel[tap * channels * all_filters + group * filters..];
    let start = matrix.len();
    matrix.resize(start + filters * channels, 0.0);
    let to = &mut matrix[start..];
    for filter0 in (0..filters).step_by(BLOCK) {
        for channel0 in (0..channels).step_by(BLOCK) {
            for filter in filter0..filters.min(filter0 + BLOCK) {
                for channel in channel0..channels.min(channel0 + BLOCK) {
                    to[filter * channels + channel] = from[channel * all_filters + filter];
                }
            }
        }
    }
}
