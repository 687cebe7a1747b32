//! The gradient of a convolution with respect to its kernel: for each tap a product of the input pixels
//! that were seen through it, transposed, with the output pixels that saw them.
//!
//! Each thread sums its block of the kernel in memory of its own. It packs a block of output pixels, and
//! their receptive field, into the order in which the tile kernel reads them, once for all taps; so the
//! time depends neither on where the operands lie nor on what other threads write.
//!
//! Threads divide the kernel, and the pixel blocks into halves where that means less to pack. Each element
//! is one chain over samples, depth, height and width, or the sum of two, whatever the tiling and the
//! number of threads.

use std::ops::Range;

use super::geometry::Geometry;
use super::pixel_block::{PixelBlock, ReceptiveField};
use super::{ConvolutionSizes, KernelShape, depthwise, reference};
use crate::kernels::isa::Isa;
use crate::kernels::matmul::matrix::Strided;
use crate::kernels::matmul::pack::{pack_column_major, pack_right};
use crate::kernels::matmul::scratch::{Scratch, Use};
use crate::kernels::matmul::tile::{Kernels, Tile, WIDTHS};
use crate::kernels::parallel::{self, SharedMut};

/// Channels, and filters, of a kernel block at most, so that what is packed stays in the second-level
/// cache.
const WIDE: usize = 256;

/// Input pixels that are packed for one tile before they are packed for the next, so that they are read
/// from the first-level cache.
const PACKED: usize = 32;

/// Elements of the kernel up to which pixel blocks are halved: more take longer to add than to pack.
const HALVED: usize = 1 << 18;

/// Pixel blocks from which on they are halved, so that halves are about equal.
const BLOCKS: usize = 16;

/// A block of the kernel, and the pixel blocks that are summed for it. Channels and filters count within
/// the group.
struct KernelBlock {
    pixel_blocks: Range<usize>,
    group: usize,
    taps: Range<usize>,
    channels: Range<usize>,
    filters: Range<usize>,
}

/// The gradient with respect to the kernel, summed over samples and pixels.
///
/// # Panics
/// As [`convolution`](super::convolution).
pub fn weight_gradient(sizes: &ConvolutionSizes, x: &[f32], dy: &[f32], dkernel: &mut [f32]) {
    sizes.check(x.len(), dkernel.len(), dy.len());
    let shape = &sizes.kernel;
    if shape.is_depthwise() {
        return match shape.filters == shape.channels {
            true => depthwise::weight_gradient(sizes, x, dy, dkernel),
            false => reference::weight_gradient(sizes, x, dy, dkernel),
        };
    }
    if x.is_empty() || dy.is_empty() {
        return dkernel.fill(0.0);
    }
    let geometry = &flat(Geometry::of(sizes));
    let kernels = Kernels::of(Isa::detect());
    let threads = parallel::threads(dy.len().saturating_mul(dkernel.len() / shape.filters));
    let blocks = PixelBlock::all(geometry).count();
    let middle = match blocks >= BLOCKS && dkernel.len() <= HALVED {
        true => blocks / 2,
        false => 0,
    };
    let halves = [0..middle, middle..blocks].into_iter();
    let halves: Vec<_> = halves.filter(|half| !half.is_empty()).collect();
    let tasks = divide(kernels, shape, &halves, threads);
    let mut second = vec![0.0; (halves.len() - 1) * dkernel.len()];
    let results = [&mut *dkernel, &mut second[..]].map(SharedMut::new);
    parallel::each(tasks.len(), 1, threads, |number| {
        let block = &tasks[number];
        let result = results[usize::from(block.pixel_blocks.start > 0)];
        // SAFETY: tasks of the same result, which is as long as the kernel, have different blocks of it.
        unsafe { Task::new(kernels, geometry, shape, block, x, dy).run(result) };
    });
    for (first, second) in dkernel.iter_mut().zip(&second) {
        *first += second;
    }
}

/// The same convolution with all pixels in one column where each output pixel sees the input pixel in
/// its own place: pixel blocks may then end at any pixel.
fn flat(geometry: Geometry) -> Geometry {
    let Geometry {
        samples,
        input,
        output,
        taps,
        strides,
        before,
        ..
    } = geometry;
    if taps != [1; 3] || strides != [1; 3] || before != [0; 3] || input != output {
        return geometry;
    }
    let pixels = [1, samples * output.iter().product::<usize>(), 1];
    Geometry {
        samples: 1,
        input: pixels,
        output: pixels,
        ..geometry
    }
}

/// Divides the kernel among threads: the longer one of channels and filters first, because less is
/// then packed, and taps where both are short.
fn divide(
    kernels: &Kernels,
    shape: &KernelShape,
    pixel_blocks: &[Range<usize>],
    threads: usize,
) -> Vec<KernelBlock> {
    let (channels, filters) = (shape.group_channels(), shape.group_filters());
    // Smaller blocks would leave registers unused.
    let most_channels = channels.div_ceil(kernels.heights[1]);
    let most_filters = filters.div_ceil(WIDTHS[kernels.widest(channels)] * kernels.lanes);
    let mut by_channels = channels.div_ceil(WIDE);
    let mut by_filters = filters.div_ceil(WIDE);
    let missing = |by: usize| threads.div_ceil(pixel_blocks.len() * shape.groups * by);
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
    let taps = shape.window.cells();
    let by_taps = missing(by_channels * by_filters).min(taps);
    let mut blocks = Vec::new();
    for group in 0..shape.groups {
        for taps in chunks(taps, by_taps, 1) {
            for channels in chunks(channels, by_channels, 1) {
                for filters in chunks(filters, by_filters, kernels.lanes) {
                    blocks.extend(pixel_blocks.iter().map(|pixel_blocks| KernelBlock {
                        pixel_blocks: pixel_blocks.clone(),
                        group,
                        taps: taps.clone(),
                        channels: channels.clone(),
                        filters: filters.clone(),
                    }));
                }
            }
        }
    }
    blocks
}

/// `0..length` in at most `count` chunks that are multiples of `unit`, but for the last.
fn chunks(length: usize, count: usize, unit: usize) -> impl Iterator<Item = Range<usize>> {
    let chunk = length.div_ceil(count).next_multiple_of(unit);
    (0..length)
        .step_by(chunk)
        .map(move |start| start..length.min(start + chunk))
}

/// What computes one block of the kernel.
struct Task<'a> {
    kernels: &'a Kernels,
    geometry: &'a Geometry,
    shape: &'a KernelShape,
    block: &'a KernelBlock,
    x: &'a [f32],
    dy: &'a [f32],
    /// Rows of the kernel at each tap: the block's channels.
    rows: usize,
    /// Tiles' width at most, as an index into [`WIDTHS`], and their height.
    widest: usize,
    tall: usize,
    /// How far rows of the block's sums are apart.
    step: usize,
    /// Columns of the input that are packed.
    columns: ReceptiveField,
}

/// A pixel block, and its receptive field.
struct Field {
    pixels: PixelBlock,
    /// Rows of the input that are packed.
    rows: ReceptiveField,
    /// Input pixels of a slice, and of all.
    slice: usize,
    all: usize,
}

impl<'a> Task<'a> {
    fn new(
        kernels: &'a Kernels,
        geometry: &'a Geometry,
        shape: &'a KernelShape,
        block: &'a KernelBlock,
        x: &'a [f32],
        dy: &'a [f32],
    ) -> Self {
        let rows = block.channels.len();
        let widest = kernels.widest(rows);
        Task {
            kernels,
            geometry,
            shape,
            block,
            x,
            dy,
            rows,
            widest,
            tall: rows.div_ceil(rows.div_ceil(kernels.heights[widest])),
            step: block.filters.len().next_multiple_of(kernels.lanes),
            columns: ReceptiveField::of(geometry, 2, &(0..geometry.output[2])),
        }
    }

    /// # Safety
    /// `dkernel` must be as long as the kernel, and nothing else touch the block meanwhile.
    unsafe fn run(&self, dkernel: SharedMut<'_>) {
        let (geometry, shape, block) = (self.geometry, self.shape, self.block);
        let slice_taps = geometry.taps[1] * geometry.taps[2];
        let filters = block.filters.len();
        let [mut left, mut right, mut sums] = [Use::Left, Use::Right, Use::Sums].map(Scratch::take);
        let sums = sums.room(block.taps.len() * self.rows * self.step);
        sums.fill(0.0);
        let blocks = PixelBlock::all(geometry).skip(block.pixel_blocks.start);
        for pixels in blocks.take(block.pixel_blocks.len()) {
            let rows = ReceptiveField::of(geometry, 1, &pixels.rows);
            let slice = rows.count * self.columns.count;
            let field = Field {
                all: pixels.slices.len() * slice,
                pixels,
                rows,
                slice,
            };
            let left = left.room(field.all * self.rows.next_multiple_of(self.tall));
            let outputs = field.pixels.pixels(geometry);
            let right = right.room(outputs * filters.next_multiple_of(self.kernels.panel()));
            self.pack_output(&field.pixels, right);
            for depth in block.taps.start / slice_taps..block.taps.end.div_ceil(slice_taps) {
                let within = |tap: usize| tap.clamp(depth * slice_taps, (depth + 1) * slice_taps);
                self.pack_input(&field, depth, left);
                let taps = within(block.taps.start)..within(block.taps.end);
                self.multiply(&field, left, right, depth, taps, sums);
            }
        }
        let filters = shape.group_filters() * block.group + block.filters.start;
        for (row, sums) in sums.chunks_exact(self.step).enumerate() {
            let (tap, channel) = (row / self.rows, row % self.rows);
            let (tap, channel) = (block.taps.start + tap, block.channels.start + channel);
            let at = (tap * shape.group_channels() + channel) * shape.filters + filters;
            // SAFETY: a row of the block, within the kernel.
            let to = unsafe { dkernel.slice(at..at + block.filters.len()) };
            to.copy_from_slice(&sums[..block.filters.len()]);
        }
    }

    /// The slices of a pixel block for which taps at `depth` fall into the input.
    fn slices(&self, block: &PixelBlock, depth: usize) -> impl Iterator<Item = usize> {
        let (depths, valid) = (
            self.geometry.output[0],
            self.geometry.valid_outputs(0, depth),
        );
        let slices = block.slices.clone();
        slices.filter(move |slice| valid.contains(&(slice % depths)))
    }

    /// Packs the filters of a pixel block in panels: `[panel][pixel][filter of the panel]`.
    fn pack_output(&self, block: &PixelBlock, to: &mut [f32]) {
        let ([_, height, width], filters) = (self.geometry.output, self.shape.filters);
        let pixel = (block.slices.start * height + block.rows.start) * width;
        let first = self.shape.group_filters() * self.block.group + self.block.filters.start;
        let from = Strided {
            data: &self.dy[pixel * filters + first..],
            row_stride: filters,
            column_stride: 1,
        };
        let (pixels, filters) = (block.pixels(self.geometry), self.block.filters.len());
        pack_right(from, pixels, filters, self.kernels.panel(), to);
    }

    /// Packs the channels of what a pixel block saw through taps at `depth` in tiles: `[tile][pixel][row of
    /// the tile]`.
    fn pack_input(&self, field: &Field, depth: usize, left: &mut [f32]) {
        let (geometry, rows, columns) = (self.geometry, &field.rows, &self.columns);
        let [depths, height, width] = geometry.input;
        let channels = self.shape.channels;
        let first = self.shape.group_channels() * self.block.group + self.block.channels.start;
        // Rows without a gap between them are one.
        let (runs, run) = match rows.step == 1 && columns.step == 1 && columns.count == width {
            true => (rows.count.min(1), field.slice),
            false => (rows.count, columns.count),
        };
        for slice in self.slices(&field.pixels, depth) {
            let (sample, output) = (slice / geometry.output[0], slice % geometry.output[0]);
            let input = sample * depths + geometry.input_pixel(0, output, depth);
            for row in 0..runs {
                let start = (input * height + rows.first + row * rows.step) * width + columns.first;
                let to = (slice - field.pixels.slices.start) * field.slice + row * run;
                for pixel in (0..run).step_by(PACKED) {
                    let count = PACKED.min(run - pixel);
                    let here = (start + pixel * columns.step) * channels + first;
                    for row in (0..self.rows).step_by(self.tall) {
                        let from = Strided {
                            data: &self.x[here + row..],
                            row_stride: 1,
                            column_stride: columns.step * channels,
                        };
                        let tile = self.tall.min(self.rows - row);
                        let to = &mut left[row * field.all + (to + pixel) * self.tall..];
                        pack_column_major(from, tile, count, self.tall, to);
                    }
                }
            }
        }
    }

    /// Adds the products of a pixel block, which is packed for this depth, at `taps` to `sums`.
    fn multiply(
        &self,
        field: &Field,
        left: &[f32],
        right: &[f32],
        depth: usize,
        taps: Range<usize>,
        sums: &mut [f32],
    ) {
        let (geometry, kernels, panel) = (self.geometry, self.kernels, self.kernels.panel());
        let (rows, columns, block) = (&field.rows, &self.columns, &field.pixels);
        let [_, height, width] = geometry.taps;
        let (output_width, pixels) = (geometry.output[2], block.pixels(geometry));
        // How far the next row of what was seen is, in pixels.
        let next_row = rows.stride * columns.count;
        let mut runs = Vec::with_capacity(block.rows.len());
        let slices: Vec<usize> = self.slices(block, depth).collect();
        let sums = SharedMut::new(sums);
        for strip in kernels.strips(self.block.filters.len(), self.widest) {
            let column = strip.first;
            let strip_right = column / panel * panel * pixels + column % panel;
            let pairs = block
                .row_ranges(geometry)
                .flat_map(|rows| taps.clone().map(move |tap| (rows.clone(), tap)));
            for (outputs, tap) in pairs {
                let (h, w) = (tap / width % height, tap % width);
                let valid_rows = geometry.valid_outputs_of(1, h, &outputs);
                let valid_columns = geometry.valid_outputs(2, w);
                if valid_rows.is_empty() || valid_columns.is_empty() {
                    continue;
                }
                let (row, column_) = (valid_rows.start, valid_columns.start);
                let seen = rows.number(geometry.input_pixel(1, row, h)) * columns.count
                    + columns.number(geometry.input_pixel(2, column_, w));
                let output = (row - block.rows.start) * output_width + column_;
                // Rows without a gap between them are one.
                let joined = valid_columns.len() == output_width
                    && columns.stride == 1
                    && next_row == output_width;
                let (count, run) = match joined {
                    true => (1, valid_rows.len() * output_width),
                    false => (valid_rows.len(), valid_columns.len()),
                };
                runs.clear();
                runs.extend((0..count).map(|row| row * next_row * self.tall));
                let number = tap - self.block.taps.start;
                for row in (0..self.rows).step_by(self.tall) {
                    let height = self.tall.min(self.rows - row);
                    for slice in &slices {
                        let slice = slice - block.slices.start;
                        let a = row * field.all + (slice * field.slice + seen) * self.tall;
                        let b = slice * block.rows.len() * output_width + output;
                        let tile = Tile {
                            a: &left[a..],
                            a_row: 1,
                            a_step: columns.stride * self.tall,
                            b: &right[strip_right + b * panel..],
                            b_step: panel,
                            b_panel: panel * pixels,
                            c: sums.from((number * self.rows + row) * self.step + column),
                            c_row: self.step,
                            depth: run,
                            runs: &runs,
                            b_run: output_width * panel,
                            last: strip.last,
                            resume: true,
                            bias: None,
                            residual: None,
                            relu: None,
                        };
                        // SAFETY: for a and b, the pixels of the last run are at most the field's and the
                        // block's last, in the packed tile and in each panel; for c, row + height ≤
                        // rows and column + strip.columns ≤ step.
                        unsafe { kernels.compute(strip.width, height, &tile) };
                    }
                }
            }
        }
    }
}
