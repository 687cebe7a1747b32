//! The gradient of a convolution with respect to its input.
//!
//! Input cells with the same remainder of their place by the strides are seen through the same cells
//! of the window. Each such set of cells is a convolution of `dy`, with steps of 1, with those
//! cells of the kernel in reverse order and its channels and filters exchanged.

use super::direct::{Direct, Place};
use super::{Convolution, depthwise, reference};
use crate::kernels::matmul::{Epilogue, Matrix, PackedMatrix};

/// Cells along one axis that are seen through the same cells of the window.
#[derive(Clone, Copy)]
pub(super) struct Phase {
    /// The first cell.
    pub start: usize,
    /// How many there are, a stride apart.
    pub cells: usize,
    /// The first cell of the window through which they are seen; the others follow a stride apart.
    pub tap: usize,
    /// The number of those.
    pub taps: usize,
    /// How far before the first cell of `dy` the first one that matters is.
    pub before: isize,
}

impl Phase {
    /// The cells of the window through which the cells of three phases are seen, the last first.
    pub fn kernel_cells(phase: &[Phase; 3], sizes: &Convolution) -> impl Iterator<Item = usize> {
        let (size, strides, phase) = (sizes.window.size, sizes.window.strides, *phase);
        let taps = phase.map(|phase| phase.taps);
        let tap = move |axis: usize, number: usize| {
            phase[axis].tap + (taps[axis] - 1 - number) * strides[axis]
        };
        (0..taps.iter().product()).map(move |cell| {
            let row = cell / taps[2];
            let (depth, row, column) = (row / taps[1], row % taps[1], cell % taps[2]);
            (tap(0, depth) * size[1] + tap(1, row)) * size[2] + tap(2, column)
        })
    }
}

pub(super) fn phases(sizes: &Convolution, axis: usize) -> Vec<Phase> {
    let window = &sizes.window;
    let (stride, dilation) = (window.strides[axis], window.dilation[axis]);
    let (size, (padding, _)) = (window.size[axis], window.padding[axis]);
    let mut phases = Vec::with_capacity(stride);
    for start in 0..stride.min(sizes.input[axis]) {
        let cells = (sizes.input[axis] - start).div_ceil(stride);
        // Cell `i` is seen through `j` from `(i + padding − j · dilation) / stride`, if that is whole.
        // With a dilation of 1 those are every stride-th; without strides, all.
        let first = match stride {
            1 => Some(0),
            _ => (0..size).find(|j| {
                (start + padding + stride * size * dilation - j * dilation).is_multiple_of(stride)
            }),
        };
        let (tap, taps) = match first {
            Some(tap) if stride == 1 => (tap, size),
            Some(tap) => (tap, (size - tap).div_ceil(stride)),
            None => (0, 0),
        };
        // The last of these cells of the window comes first.
        let last = match stride {
            1 => (size - 1) as isize * dilation as isize,
            _ => (tap + taps.saturating_sub(1) * stride) as isize,
        };
        let before = -(((start + padding) as isize - last).div_euclid(stride as isize));
        phases.push(Phase {
            start,
            cells,
            tap,
            taps,
            before,
        });
    }
    phases
}

/// The gradient with respect to the input: `dx` from `dy` and the kernel. As an op of its own it is
/// the transposed convolution.
///
/// # Panics
/// As [`convolution`](super::convolution).
pub fn input_gradient(sizes: &Convolution, dy: &[f32], kernel: &[f32], dx: &mut [f32]) {
    sizes.check(dx.len(), kernel.len(), dy.len());
    let window = &sizes.window;
    if sizes.groups == sizes.channels && sizes.groups > 1 {
        return depthwise::input_gradient(sizes, dy, kernel, dx);
    }
    if (0..3).any(|axis| window.strides[axis] > 1 && window.dilation[axis] > 1) {
        // No layer of Keras has both.
        return reference::input_gradient(sizes, dy, kernel, dx);
    }
    let of_axis: [Vec<Phase>; 3] = std::array::from_fn(|axis| phases(sizes, axis));
    if of_axis.iter().flatten().any(|phase| phase.taps == 0) {
        // Cells that no window sees.
        dx.fill(0.0);
    }
    for &depth in &of_axis[0] {
        for &row in &of_axis[1] {
            for &column in &of_axis[2] {
                phase(sizes, [depth, row, column], dy, kernel, dx);
            }
        }
    }
}

fn phase(sizes: &Convolution, phase: [Phase; 3], dy: &[f32], kernel: &[f32], dx: &mut [f32]) {
    if phase
        .iter()
        .any(|phase| phase.taps == 0 || phase.cells == 0)
    {
        return;
    }
    let (channels, filters) = (sizes.channels / sizes.groups, sizes.filters / sizes.groups);
    let taps = phase.map(|phase| phase.taps);
    let [_, height, width] = sizes.input;
    let axes = [height * width, width, 1].map(|cells| cells * sizes.channels);
    let strides = sizes.window.strides;
    let mut matrix = Vec::with_capacity(taps.iter().product::<usize>() * channels * filters);
    for group in 0..sizes.groups {
        matrix.clear();
        for cell in Phase::kernel_cells(&phase, sizes) {
            transpose(sizes, cell, group, kernel, &mut matrix);
        }
        let rows = taps.iter().product::<usize>() * filters;
        let packed = PackedMatrix::new(Matrix::new(&matrix, rows, channels));
        let first: usize = (0..3).map(|axis| phase[axis].start * axes[axis]).sum();
        let direct = Direct {
            samples: sizes.samples,
            input: sizes.output,
            cell: sizes.filters,
            first_channel: group * filters,
            channels: filters,
            taps,
            strides: [1; 3],
            dilation: std::array::from_fn(|axis| match strides[axis] {
                1 => sizes.window.dilation[axis],
                _ => 1,
            }),
            before: phase.map(|phase| phase.before),
            output: phase.map(|phase| phase.cells),
            kernel: &packed,
            place: Place {
                first: first + group * channels,
                sample: sizes.input.iter().product::<usize>() * sizes.channels,
                axes: std::array::from_fn(|axis| axes[axis] * strides[axis]),
            },
            epilogue: Epilogue::default(),
        };
        // SAFETY: the cells of a phase are different cells of `dx`, which is as long as the input.
        unsafe { direct.run(dy, dx.as_mut_ptr()) };
    }
}

/// Appends a cell of a group's kernel, with a row for each filter and a column for each channel.
fn transpose(
    sizes: &Convolution,
    cell: usize,
    group: usize,
    kernel: &[f32],
    matrix: &mut Vec<f32>,
) {
    const BLOCK: usize = 16;
    let (channels, filters) = (sizes.channels / sizes.groups, sizes.filters / sizes.groups);
    let from = &kernel[cell * channels * sizes.filters + group * filters..];
    let start = matrix.len();
    matrix.resize(start + filters * channels, 0.0);
    let to = &mut matrix[start..];
    for filter0 in (0..filters).step_by(BLOCK) {
        for channel0 in (0..channels).step_by(BLOCK) {
            for filter in filter0..filters.min(filter0 + BLOCK) {
                for channel in channel0..channels.min(channel0 + BLOCK) {
                    to[filter * channels + channel] = from[channel * sizes.filters + filter];
                }
            }
        }
    }
}
