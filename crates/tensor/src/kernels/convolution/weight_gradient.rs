//! The gradient of a convolution with respect to its kernel: for each cell of the window a product of
//! the input cells that were seen through it, upright, with the output cells that saw them.
//!
//! Each thread sums its part of the kernel in memory of its own. It copies a band of output cells, and
//! what they saw, into the order in which the tile kernel reads them, once for all cells of the window;
//! so the time depends neither on where the operands lie nor on what other threads write.
//!
//! Threads divide the kernel, and the bands into halves where that means less to copy. Each element is
//! one chain over samples, depth, height and width, or the sum of two, whatever the tiling and the number
//! of threads.

use std::ops::Range;

use rayon::prelude::*;

use super::band::{Band, Seen, input_cell, seeing, seeing_within};
use super::{Convolution, depthwise, reference};
use crate::kernels::isa::Isa;
use crate::kernels::matmul::matrix::Strided;
use crate::kernels::matmul::pack::{Scratch, pack_right, pack_upright};
use crate::kernels::matmul::tile::{Kernels, Tile, WIDTHS};

/// Multiply-adds below which one thread does everything (about 20 µs).
const ALONE: usize = 1 << 21;

/// Channels, and filters, of a part at most, so that its copies stay in the second-level cache.
const WIDE: usize = 256;

/// Input cells that are copied for one tile before they are copied for the next, so that they are read
/// from the first-level cache.
const COPIED: usize = 32;

/// Elements of the kernel up to which bands are halved: more of them take longer to add than a copy.
const HALVED: usize = 1 << 18;

/// Bands from which on they are halved, so that halves are about equal.
const BANDS: usize = 16;

/// The result's memory, of which tasks write different elements.
#[derive(Clone, Copy)]
struct Shared(*mut f32);

// SAFETY: tasks are given different cells of the window, channels or filters.
unsafe impl Sync for Shared {}

/// A part of the kernel and of the bands. Taps are cells of the window; channels and filters count within the group.
struct Part {
    bands: Range<usize>,
    group: usize,
    taps: Range<usize>,
    channels: Range<usize>,
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
    if x.is_empty() || dy.is_empty() {
        return dkernel.fill(0.0);
    }
    let sizes = &flat(sizes);
    let kernels = Kernels::of(Isa::detect());
    let work = dy.len().saturating_mul(dkernel.len() / sizes.filters);
    let threads = match work < ALONE {
        true => 1,
        false => rayon::current_num_threads(),
    };
    let bands = Band::all(sizes).count();
    let middle = match bands >= BANDS && dkernel.len() <= HALVED {
        true => bands / 2,
        false => 0,
    };
    let halves = [0..middle, middle..bands].into_iter();
    let halves: Vec<_> = halves.filter(|half| !half.is_empty()).collect();
    let parts = parts(kernels, sizes, &halves, threads);
    let mut second = vec![0.0; (halves.len() - 1) * dkernel.len()];
    let shared = [dkernel.as_mut_ptr(), second.as_mut_ptr()].map(Shared);
    let compute = |part: &Part| {
        let task = Task::new(kernels, sizes, part, x, dy);
        let shared = shared[usize::from(part.bands.start > 0)];
        // SAFETY: parts of the same bands are different parts of one of the results, which have the
        // kernel's length.
        unsafe { task.run(shared) };
    };
    if threads == 1 {
        parts.iter().for_each(compute);
    } else {
        parts.par_iter().for_each(compute);
    }
    for (first, second) in dkernel.iter_mut().zip(&second) {
        *first += second;
    }
}

/// The same convolution with all cells in one column where each output cell sees the input cell in
/// its own place: bands may then end at any cell.
fn flat(sizes: &Convolution) -> Convolution {
    let window = &sizes.window;
    if window.cells() != 1 || window.strides != [1; 3] || window.padding != [(0, 0); 3] {
        return *sizes;
    }
    let cells = [1, sizes.samples * sizes.output.iter().product::<usize>(), 1];
    Convolution {
        samples: 1,
        input: cells,
        output: cells,
        ..*sizes
    }
}

/// Divides the kernel among threads: the longer one of channels and filters first, because less is
/// then copied, and cells of the window where both are short.
fn parts(
    kernels: &Kernels,
    sizes: &Convolution,
    bands: &[Range<usize>],
    threads: usize,
) -> Vec<Part> {
    let (channels, filters) = (sizes.channels / sizes.groups, sizes.filters / sizes.groups);
    // Smaller parts would leave registers unused.
    let most_channels = channels.div_ceil(kernels.heights[1]);
    let most_filters = filters.div_ceil(WIDTHS[kernels.widest(channels)] * kernels.lanes);
    let mut by_channels = channels.div_ceil(WIDE);
    let mut by_filters = filters.div_ceil(WIDE);
    let missing = |by: usize| threads.div_ceil(bands.len() * sizes.groups * by);
    let divide = |by: usize, other: usize, most: usize| {
        by.next_multiple_of(missing(other)).min(most.max(by))
    };
    if filters >= channels {
        by_filters = divide(by_filters, by_channels, most_filters);
        by_channels = divide(by_channels, by_filters, most_channels);
    } else {
        by_channels = divide(by_channels, by_filters, most_channels);
        by_filters = divide(by_filters, by_channels, most_filters);
    }
    let cells = sizes.window.cells();
    let by_taps = missing(by_channels * by_filters).min(cells);
    let mut parts = Vec::new();
    for group in 0..sizes.groups {
        for taps in pieces(cells, by_taps, 1) {
            for channels in pieces(channels, by_channels, 1) {
                for filters in pieces(filters, by_filters, kernels.lanes) {
                    parts.extend(bands.iter().map(|bands| Part {
                        bands: bands.clone(),
                        group,
                        taps: taps.clone(),
                        channels: channels.clone(),
                        filters: filters.clone(),
                    }));
                }
            }
        }
    }
    parts
}

/// `0..length` in at most `count` pieces that are multiples of `unit`, but for the last.
fn pieces(length: usize, count: usize, unit: usize) -> impl Iterator<Item = Range<usize>> {
    let piece = length.div_ceil(count).next_multiple_of(unit);
    (0..length)
        .step_by(piece)
        .map(move |start| start..length.min(start + piece))
}

/// What computes one part.
struct Task<'a> {
    kernels: &'a Kernels,
    sizes: &'a Convolution,
    part: &'a Part,
    x: &'a [f32],
    dy: &'a [f32],
    /// Rows of the kernel at each cell of the window: the part's channels.
    rows: usize,
    /// Tiles' width at most, as an index into [`WIDTHS`], and their height.
    widest: usize,
    tall: usize,
    /// Columns of the input that are copied.
    columns: Seen,
}

/// A band, what of it is copied, and where.
struct Copies {
    band: Band,
    /// Rows of the input that are copied.
    rows: Seen,
    /// Input cells of a slice, and of all.
    slice: usize,
    cells: usize,
    /// The input in tiles: `[tile][cell][row of the tile]`.
    left: *mut f32,
    /// The output in panels: `[panel][cell][filter of the panel]`.
    right: *mut f32,
}

impl<'a> Task<'a> {
    fn new(
        kernels: &'a Kernels,
        sizes: &'a Convolution,
        part: &'a Part,
        x: &'a [f32],
        dy: &'a [f32],
    ) -> Self {
        let rows = part.channels.len();
        let widest = kernels.widest(rows);
        Task {
            kernels,
            sizes,
            part,
            x,
            dy,
            rows,
            widest,
            tall: rows.div_ceil(rows.div_ceil(kernels.heights[widest])),
            columns: Seen::by(sizes, 2, &(0..sizes.output[2])),
        }
    }

    /// # Safety
    /// `dkernel` must have room for the kernel, and nothing else may touch the part.
    unsafe fn run(&self, dkernel: Shared) {
        let (sizes, part) = (self.sizes, self.part);
        let (channels, filters) = (sizes.channels / sizes.groups, sizes.filters / sizes.groups);
        let slice_taps = sizes.window.size[1] * sizes.window.size[2];
        let step = part.filters.len().next_multiple_of(self.kernels.lanes);
        let length = part.taps.len() * self.rows * step;
        let mut buffers = [2, 3, 4].map(Scratch::take);
        let [left, right, sums] = &mut buffers;
        let sums = sums.room(length);
        // SAFETY: there is room.
        unsafe { sums.write_bytes(0, length) };
        let bands = Band::all(sizes).skip(part.bands.start);
        for band in bands.take(part.bands.len()) {
            let rows = Seen::by(sizes, 1, &band.rows);
            let slice = rows.count * self.columns.count;
            let cells = band.slices.len() * slice;
            let width = part.filters.len().next_multiple_of(self.panel());
            let copies = Copies {
                left: left.room(cells * self.rows.next_multiple_of(self.tall)),
                right: right.room(self.cells(&band) * width),
                band,
                rows,
                slice,
                cells,
            };
            self.copy_output(&copies);
            for depth in part.taps.start / slice_taps..part.taps.end.div_ceil(slice_taps) {
                let within = |tap: usize| tap.clamp(depth * slice_taps, (depth + 1) * slice_taps);
                self.copy_input(&copies, depth);
                let taps = within(part.taps.start)..within(part.taps.end);
                // SAFETY: there is room for the sums; they are 0 or those of earlier bands.
                unsafe { self.multiply(&copies, depth, taps, sums, step) };
            }
        }
        for (number, tap) in part.taps.clone().enumerate() {
            for row in 0..self.rows {
                let at = (tap * channels + part.channels.start + row) * sizes.filters
                    + part.group * filters
                    + part.filters.start;
                // SAFETY: the part's filters in this row, in the sums and in the kernel.
                unsafe {
                    let from = sums.add((number * self.rows + row) * step);
                    let to = dkernel.0.add(at);
                    to.copy_from_nonoverlapping(from, part.filters.len());
                }
            }
        }
        for (operand, buffer) in (2..).zip(buffers) {
            buffer.give_back(operand);
        }
    }

    /// Filters in a panel.
    fn panel(&self) -> usize {
        2 * self.kernels.lanes
    }

    /// Output cells of a band.
    fn cells(&self, band: &Band) -> usize {
        band.slices.len() * band.rows.len() * self.sizes.output[2]
    }

    /// The slices of a band that saw something through cells of the window at `depth`.
    fn slices(&self, band: &Band, depth: usize) -> impl Iterator<Item = usize> {
        let (depths, seeing) = (self.sizes.output[0], seeing(self.sizes, 0, depth));
        let slices = band.slices.clone();
        slices.filter(move |slice| seeing.contains(&(slice % depths)))
    }

    /// Copies the part's filters of a band.
    fn copy_output(&self, copies: &Copies) {
        let (sizes, part, band) = (self.sizes, self.part, &copies.band);
        let cell = (band.slices.start * sizes.output[1] + band.rows.start) * sizes.output[2];
        let first = sizes.filters / sizes.groups * part.group + part.filters.start;
        let from = Strided {
            data: self.dy[cell * sizes.filters + first..].as_ptr(),
            row_stride: sizes.filters,
            column_stride: 1,
        };
        let (cells, filters) = (self.cells(band), part.filters.len());
        // SAFETY: a band's cells lie one after another in `dy`, and there is room.
        unsafe { pack_right(from, cells, filters, self.panel(), copies.right) };
    }

    /// Copies the part's channels of what a band saw through cells of the window at `depth`.
    fn copy_input(&self, copies: &Copies, depth: usize) {
        let (sizes, rows, columns) = (self.sizes, &copies.rows, &self.columns);
        let [depths, height, width] = sizes.input;
        let first = sizes.channels / sizes.groups * self.part.group + self.part.channels.start;
        // Rows without a gap between them are one.
        let (runs, run) = match rows.step == 1 && columns.step == 1 && columns.count == width {
            true => (rows.count.min(1), copies.slice),
            false => (rows.count, columns.count),
        };
        for slice in self.slices(&copies.band, depth) {
            let (sample, output) = (slice / sizes.output[0], slice % sizes.output[0]);
            let input = sample * depths + input_cell(sizes, 0, output, depth);
            for row in 0..runs {
                let start = (input * height + rows.first + row * rows.step) * width + columns.first;
                let to = (slice - copies.band.slices.start) * copies.slice + row * run;
                for cell in (0..run).step_by(COPIED) {
                    let count = COPIED.min(run - cell);
                    let here = (start + cell * columns.step) * sizes.channels + first;
                    for row in (0..self.rows).step_by(self.tall) {
                        let from = Strided {
                            data: self.x[here + row..].as_ptr(),
                            row_stride: 1,
                            column_stride: columns.step * sizes.channels,
                        };
                        let tile = self.tall.min(self.rows - row);
                        // SAFETY: the cells are seen, so they lie within the input; each tile has
                        // room for all cells.
                        unsafe {
                            let to = copies
                                .left
                                .add(row * copies.cells + (to + cell) * self.tall);
                            pack_upright(from, tile, count, self.tall, to);
                        }
                    }
                }
            }
        }
    }

    /// Adds a band's products at `taps`, cells of the window at `depth`, to `sums`, of which rows are
    /// `step` apart.
    ///
    /// # Safety
    /// The band must be copied for this depth, and `sums` have room for the part.
    unsafe fn multiply(
        &self,
        copies: &Copies,
        depth: usize,
        taps: Range<usize>,
        sums: *mut f32,
        step: usize,
    ) {
        let (sizes, kernels, panel) = (self.sizes, self.kernels, self.panel());
        let (Copies { band, rows, .. }, columns) = (copies, &self.columns);
        let [_, height, width] = sizes.window.size;
        let (output_width, filters) = (sizes.output[2], self.part.filters.len());
        // How far the next row of what was seen is, in cells.
        let stretch = rows.stride * columns.count;
        let mut stretches = Vec::with_capacity(band.rows.len());
        let slices: Vec<usize> = self.slices(band, depth).collect();
        for strip in kernels.strips(filters, self.widest) {
            let column = strip.first;
            let right = column / panel * panel * self.cells(band) + column % panel;
            let pairs = band
                .row_ranges(sizes)
                .flat_map(|rows| taps.clone().map(move |tap| (rows.clone(), tap)));
            for (outputs, tap) in pairs {
                let (h, w) = (tap / width % height, tap % width);
                let seeing_rows = seeing_within(sizes, 1, h, &outputs);
                let seeing_columns = seeing(sizes, 2, w);
                if seeing_rows.is_empty() || seeing_columns.is_empty() {
                    continue;
                }
                let seen_row = rows.place(input_cell(sizes, 1, seeing_rows.start, h));
                let seen_column = columns.place(input_cell(sizes, 2, seeing_columns.start, w));
                let seen = seen_row * columns.count + seen_column;
                let seeing =
                    (seeing_rows.start - band.rows.start) * output_width + seeing_columns.start;
                // Rows without a gap between them are one.
                let joined = seeing_columns.len() == output_width
                    && columns.stride == 1
                    && stretch == output_width;
                let (runs, run) = match joined {
                    true => (1, seeing_rows.len() * output_width),
                    false => (seeing_rows.len(), seeing_columns.len()),
                };
                stretches.clear();
                stretches.extend((0..runs).map(|row| row * stretch * self.tall));
                let number = tap - self.part.taps.start;
                for row in (0..self.rows).step_by(self.tall) {
                    let tall = self.tall.min(self.rows - row);
                    for slice in &slices {
                        let slice = slice - band.slices.start;
                        let left = row * copies.cells + (slice * copies.slice + seen) * self.tall;
                        let seeing = slice * band.rows.len() * output_width + seeing;
                        // SAFETY: the cells that saw, and those that were seen, are copied; rows and
                        // columns lie within the part.
                        unsafe {
                            kernels.upright[strip.width][tall - 1](&Tile {
                                a: copies.left.add(left),
                                a_row: 1,
                                a_step: columns.stride * self.tall,
                                b: copies.right.add(right + seeing * panel),
                                b_step: panel,
                                b_panel: panel * self.cells(band),
                                c: sums.add((number * self.rows + row) * step + column),
                                c_row: step,
                                depth: run,
                                stretches: &stretches,
                                b_stretch: output_width * panel,
                                last: strip.last,
                                resume: true,
                                bias: std::ptr::null(),
                                relu: None,
                            });
                        }
                    }
                }
            }
        }
    }
}
