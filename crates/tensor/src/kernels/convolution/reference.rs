//! Convolutions as their formula says, one product at a time: what the fast kernels are tested
//! against.

use super::{ConvolutionSizes, KernelShape};

/// Calls `visit(x, kernel, y)` with the positions of every product of the sum.
fn products(sizes: &ConvolutionSizes, mut visit: impl FnMut(usize, usize, usize)) {
    let ConvolutionSizes {
        samples,
        input,
        output,
        kernel,
    } = *sizes;
    let KernelShape {
        channels,
        filters,
        window,
        ..
    } = kernel;
    let (group_channels, group_filters) = (kernel.group_channels(), kernel.group_filters());
    // The input pixel that tap `j` of output pixel `i` falls on, if it exists.
    let seen = |axis: usize, i: usize, j: usize| {
        (i * window.strides[axis] + j * window.dilation[axis])
            .checked_sub(window.padding[axis].0)
            .filter(|&pixel| pixel < input[axis])
    };
    for sample in 0..samples {
        for pixel in 0..output.iter().product() {
            let i = [
                pixel / (output[1] * output[2]),
                pixel / output[2] % output[1],
                pixel % output[2],
            ];
            for tap in 0..window.cells() {
                let size = window.size;
                let j = [
                    tap / (size[1] * size[2]),
                    tap / size[2] % size[1],
                    tap % size[2],
                ];
                let (Some(d), Some(h), Some(w)) = (
                    seen(0, i[0], j[0]),
                    seen(1, i[1], j[1]),
                    seen(2, i[2], j[2]),
                ) else {
                    continue;
                };
                let x = (((sample * input[0] + d) * input[1] + h) * input[2] + w) * channels;
                let y = (sample * output.iter().product::<usize>() + pixel) * filters;
                for channel in 0..group_channels {
                    let kernel = (tap * group_channels + channel) * filters;
                    for filter in 0..filters {
                        let group = filter / group_filters;
                        let x = x + group * group_channels + channel;
                        visit(x, kernel + filter, y + filter);
                    }
                }
            }
        }
    }
}

/// See [`super::convolution`].
pub fn convolution(sizes: &ConvolutionSizes, x: &[f32], kernel: &[f32], y: &mut [f32]) {
    y.fill(0.0);
    products(sizes, |i, j, o| y[o] += x[i] * kernel[j]);
}

/// See [`super::input_gradient`].
pub fn input_gradient(sizes: &ConvolutionSizes, dy: &[f32], kernel: &[f32], dx: &mut [f32]) {
    dx.fill(0.0);
    products(sizes, |i, j, o| dx[i] += dy[o] * kernel[j]);
}

/// See [`super::weight_gradient`].
pub fn weight_gradient(sizes: &ConvolutionSizes, x: &[f32], dy: &[f32], dkernel: &mut [f32]) {
    dkernel.fill(0.0);
    products(sizes, |i, j, o| dkernel[j] += x[i] * dy[o]);
}
