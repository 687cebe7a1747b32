//! The gradient of a convolution with respect to its kernel: for each cell of the window a product of
//! the input cells that it saw, upright, with the output cells that saw them. Both are read where they
//! lie, without borders; the sum over cells and samples stays in the result.
//!
//! Threads divide the kernel, not the samples, so that the order of each sum is always the same.

use std::ops::Range;

use rayon::prelude::*;

use super::{Convolution, depthwise, reference};
use crate::kernels::isa::Isa;
use crate::kernels::matmul::tile::{Kernels, Tile, WIDTHS};

/// Multiply-adds below which one thread does everything (about 20 µs).
const ALONE: usize = 1 << 21;

/// Cells of the output that are worked on at a time, so that they stay in the cache.
const CELLS: usize = 256;

/// The result's memory, of which tasks write different elements.
#[derive(Clone, Copy)]
struct Shared(*mut f32);

// SAFETY: tasks are given different cells of the window, channels or filters.
unsafe impl Sync for Shared {}

/// A part of the kernel: rows number (cell of the window, channel).
struct Part {
    group: usize,
    rows: Range<usize>,
    filters: Range<usize>,
}

/// The gradient with respect to the kernel, summed over samples and cells.
///
/// # Panics
/// As [`convolution`](super::convolution).
pub fn weight_gradient(sizes: &Convolution, x: &[f32], dy: &[f32], dkernel: &mut [f32]) {
    sizes.check(x.len(), dkernel.len(), dy.len());
    if sizes.groups == sizes.channels && sizes.groups > 1 {
        return match sizes.filters == sizes.channels {
            true => depthwise::weight_gradient(sizes, x, dy, dkernel),
            false => reference::weight_gradient(sizes, x, dy, dkernel),
        };
    }
    let kernels = Kernels::of(Isa::detect());
    let (channels, filters) = (sizes.channels / sizes.groups, sizes.filters / sizes.groups);
    let rows = sizes.window.cells() * channels;
    let work = (sizes.output_len() / sizes.groups).saturating_mul(rows);
    let threads = match work < ALONE {
        true => 1,
        false => rayon::current_num_threads(),
    };
    dkernel.fill(0.0);
    let panel = 2 * kernels.lanes;
    let panels = filters.div_ceil(panel);
    // Filters first: each thread then reads different columns of `dy`, and all of `x`.
    let by_filters = threads.min(panels);
    let by_rows = threads
        .div_ceil(by_filters.max(1))
        .min(rows.div_ceil(kernels.heights[1]));
    let width = panels.div_ceil(by_filters) * panel;
    let height = rows.div_ceil(by_rows);
    let mut parts = Vec::new();
    for group in 0..sizes.groups {
        for row in (0..rows).step_by(height.max(1)) {
            for filter in (0..filters).step_by(width.max(1)) {
                parts.push(Part {
                    group,
                    rows: row..rows.min(row + height),
                    filters: filter..filters.min(filter + width),
                });
            }
        }
    }
    let shared = Shared(dkernel.as_mut_ptr());
    let work = |part: &Part| {
        // SAFETY: parts are different parts of `dkernel`, which has the kernel's length.
        unsafe { compute(kernels, sizes, part, x, dy, shared) };
    };
    if threads == 1 {
        parts.iter().for_each(work);
    } else {
        parts.par_iter().for_each(work);
    }
}

/// The output cells along `axis` that saw an input cell through cell `tap` of the window.
pub(super) fn seeing(sizes: &Convolution, axis: usize, tap: usize) -> Range<usize> {
    let window = &sizes.window;
    let (stride, before) = (window.strides[axis], window.padding[axis].0);
    let offset = tap * window.dilation[axis];
    let first = before.saturating_sub(offset).div_ceil(stride);
    let end = match (sizes.input[axis] + before).checked_sub(offset + 1) {
        Some(last) => (last / stride + 1).min(sizes.output[axis]),
        None => 0,
    };
    first..end.max(first)
}

/// # Safety
/// `dkernel` must have room for the kernel, and nothing else may touch the part.
unsafe fn compute(
    kernels: &Kernels,
    sizes: &Convolution,
    part: &Part,
    x: &[f32],
    dy: &[f32],
    dkernel: Shared,
) {
    let (channels, filters) = (sizes.channels / sizes.groups, sizes.filters / sizes.groups);
    let [_, taps_height, taps_width] = sizes.window.size;
    let [depths, height, width] = sizes.output;
    let rows_at_once = (CELLS / width.max(1)).clamp(1, height.max(1));
    let input_row = sizes.input[2] * sizes.channels;
    let at = |axis: usize, output: usize, tap: usize| {
        let window = &sizes.window;
        output * window.strides[axis] + tap * window.dilation[axis] - window.padding[axis].0
    };
    let row_step = sizes.window.strides[1] * input_row;
    let stretches: Vec<usize> = (0..rows_at_once).map(|row| row * row_step).collect();
    let taps = part.rows.start / channels..part.rows.end.div_ceil(channels);
    for slice in 0..sizes.samples * depths {
        let (sample, depth) = (slice / depths, slice % depths);
        for band in (0..height).step_by(rows_at_once) {
            let band = band..height.min(band + rows_at_once);
            for tap in taps.clone() {
                let [d, h, w] = [
                    tap / (taps_height * taps_width),
                    tap / taps_width % taps_height,
                    tap % taps_width,
                ];
                let (seen_rows, columns) = (seeing(sizes, 1, h), seeing(sizes, 2, w));
                let rows = band.start.max(seen_rows.start)..band.end.min(seen_rows.end);
                if !seeing(sizes, 0, d).contains(&depth) || rows.is_empty() || columns.is_empty() {
                    continue;
                }
                let input = (sample * sizes.input[0] + at(0, depth, d)) * sizes.input[1]
                    + at(1, rows.start, h);
                let input = input * input_row
                    + at(2, columns.start, w) * sizes.channels
                    + part.group * channels;
                let output = (slice * height + rows.start) * width + columns.start;
                let output = output * sizes.filters + part.group * filters;
                let first = part.rows.start.max(tap * channels) - tap * channels;
                let last = part.rows.end.min((tap + 1) * channels) - tap * channels;
                let product = Upright {
                    a: x.as_ptr().wrapping_add(input + first),
                    a_step: sizes.window.strides[2] * sizes.channels,
                    rows: last - first,
                    b: dy.as_ptr().wrapping_add(output + part.filters.start),
                    b_step: sizes.filters,
                    columns: part.filters.len(),
                    depth: columns.len(),
                    stretches: &stretches[..rows.len()],
                    b_stretch: width * sizes.filters,
                    c: dkernel.0.wrapping_add(
                        (tap * channels + first) * sizes.filters
                            + part.group * filters
                            + part.filters.start,
                    ),
                };
                // SAFETY: the cells lie within input and output as `seeing` has them, the rows and
                // columns within the part.
                unsafe { product.add(kernels) };
            }
        }
    }
}

/// A product with an upright left operand that is added to what is there.
struct Upright<'a> {
    a: *const f32,
    a_step: usize,
    rows: usize,
    b: *const f32,
    b_step: usize,
    columns: usize,
    depth: usize,
    stretches: &'a [usize],
    b_stretch: usize,
    c: *mut f32,
}

impl Upright<'_> {
    /// # Safety
    /// Operands and result must be valid for the sizes, and nothing else may touch the result.
    unsafe fn add(&self, kernels: &Kernels) {
        let widest = (1..WIDTHS.len())
            .rfind(|&width| kernels.heights[width] >= self.rows)
            .unwrap_or(1);
        let mut column = 0;
        while column < self.columns {
            let rest = self.columns - column;
            let vectors = rest.div_ceil(kernels.lanes);
            let width = (0..=widest).rfind(|&w| WIDTHS[w] <= vectors).unwrap_or(0);
            let count = rest.min(WIDTHS[width] * kernels.lanes);
            let tiles = self.rows.div_ceil(kernels.heights[width.max(1)]);
            let mut row = 0;
            for tile in 0..tiles {
                let height = self.rows / tiles + usize::from(tile < self.rows % tiles);
                // SAFETY: the tile lies within the product, for which the caller vouches.
                unsafe {
                    kernels.upright[width][height - 1](&Tile {
                        a: self.a.add(row),
                        a_row: 1,
                        a_step: self.a_step,
                        b: self.b.add(column),
                        b_step: self.b_step,
                        b_panel: 2 * kernels.lanes,
                        c: self.c.add(row * self.b_step + column),
                        c_row: self.b_step,
                        depth: self.depth,
                        stretches: self.stretches,
                        b_stretch: self.b_stretch,
                        last: count - (WIDTHS[width] - 1) * kernels.lanes,
                        resume: true,
                        bias: std::ptr::null(),
                        relu: None,
                    });
                }
                row += height;
            }
            column += count;
        }
    }
}
