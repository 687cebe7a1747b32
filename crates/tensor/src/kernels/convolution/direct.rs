//! A convolution of one group as a matrix product whose left operand is never written out: the tile
//! kernel walks over the taps in the input itself. At a border it leaves out the taps that lie outside;
//! where that is not simple, a few rows are copied with the border around them.
//!
//! Each element is one chain over depth, height, width and channels of the window in that order,
//! whatever the tiling and the number of threads.

use std::ops::Range;

use super::geometry::{Geometry, OutputLayout};
use super::patches::{KBlock, Patches, Region};
use crate::kernels::isa::Isa;
use crate::kernels::matmul::scratch::{Scratch, Use};
use crate::kernels::matmul::tile::{Kernels, Strip, Tile, WIDTHS, tile_rows};
use crate::kernels::matmul::{Epilogue, EpilogueActivation, PackedMatrix};
use crate::kernels::parallel::{self, SharedMut};

/// Values of the input that a task works on, so that they stay in the second-level cache.
const INPUT: usize = 128 * 1024;

/// Values of the kernel that are gone through for all pixels of a task before the next ones, so that they
/// stay in the first-level cache.
const KERNEL: usize = 6 * 1024;

/// Rows of a tile from which on a wider one is better than a taller one: a value of the input that is
/// read then serves more filters. With fewer rows, reading the kernel takes longer than multiplying.
const TALL: usize = 6;

/// A convolution of the channels of one group.
#[derive(Clone, Copy)]
pub(super) struct Direct<'a> {
    pub geometry: Geometry,
    /// Values per pixel of the input, of which the group has `channels` from `first_channel` on.
    pub pixel: usize,
    pub first_channel: usize,
    pub channels: usize,
    /// The kernel as a matrix: a row for each tap and channel, a column for each filter.
    pub kernel: &'a PackedMatrix,
    pub layout: OutputLayout,
    pub epilogue: Epilogue<'a>,
    /// Added between bias and activation: as long as the result, and laid out like it.
    pub residual: Option<&'a [f32]>,
}

/// A strip of filters, and what ends their sums.
struct FilterStrip<'a> {
    kernels: &'a Kernels,
    strip: Strip,
    /// The first value of the kernel for these filters.
    panel: usize,
    /// What the tile kernel does at the end.
    epilogue: Epilogue<'a>,
    /// What it leaves to be done.
    late: Epilogue<'a>,
}

impl Direct<'_> {
    /// Computes into `y`.
    ///
    /// # Panics
    /// If `x`, `y`, the kernel or the layout contradict the sizes.
    pub fn run(mut self, x: &[f32], y: &mut [f32]) {
        let Geometry {
            samples,
            input,
            output,
            taps,
            ..
        } = self.geometry;
        let pixels: usize = input.iter().product();
        assert_eq!(x.len(), samples * pixels * self.pixel, "direct: input");
        assert!(
            self.first_channel + self.channels <= self.pixel,
            "direct: channels"
        );
        let rows = taps.iter().product::<usize>() * self.channels;
        assert_eq!(self.kernel.rows(), rows, "direct: kernel");
        let residual = self
            .residual
            .is_none_or(|residual| residual.len() == y.len());
        assert!(residual, "direct: residual");
        let filters = self.kernel.columns();
        let outputs = samples * output.iter().product::<usize>();
        if outputs == 0 || filters == 0 {
            return;
        }
        self.layout.check(&self.geometry, filters, y.len());
        self.flatten();
        let kernels = Kernels::of(Isa::detect());
        let threads = parallel::threads(outputs.saturating_mul(rows).saturating_mul(filters));
        let tasks = self.tasks(threads, kernels.heights[1]);
        // Filters are divided too where there are too few pixels for all threads.
        let panels = filters.div_ceil(kernels.panel());
        let parts = match threads {
            1 => 1,
            threads => (2 * threads).div_ceil(tasks.len()).min(panels),
        };
        let width = panels.div_ceil(parts) * kernels.panel();
        let parts = filters.div_ceil(width);
        let y = SharedMut::new(y);
        parallel::each(tasks.len() * parts, 1, threads, |number| {
            let (task, part) = (&tasks[number / parts], number % parts);
            let filters = part * width..filters.min((part + 1) * width);
            // SAFETY: tasks have different pixels, which do not overlap (`check`), parts of a task
            // different filters.
            unsafe { self.task(kernels, x, y, task, filters) };
        });
    }

    /// Makes one long row of the pixels of a window with one tap.
    fn flatten(&mut self) {
        let Geometry {
            samples,
            input,
            output,
            ..
        } = self.geometry;
        let axes = self.layout.axes;
        let row = output[2] * axes[2];
        let slice = output[1] * row;
        let plain = self.geometry.taps == [1; 3]
            && self.geometry.strides == [1; 3]
            && self.geometry.before == [0; 3]
            && output == input
            && axes[1] == row
            && axes[0] == slice
            && self.layout.sample == output[0] * slice;
        if plain {
            let pixels = [1, 1, samples * input.iter().product::<usize>()];
            self.geometry.samples = 1;
            self.geometry.input = pixels;
            self.geometry.output = pixels;
        }
    }

    /// Whether windows reach beyond the input along this axis.
    fn has_border(&self, axis: usize) -> bool {
        let Geometry { input, before, .. } = self.geometry;
        let last = self.seen(axis, self.geometry.output[axis]) - 1;
        before[axis] > 0 || last as isize - before[axis] >= input[axis] as isize
    }

    /// Pixels of the input along `axis` from the first to the last that `outputs` see.
    fn seen(&self, axis: usize, outputs: usize) -> usize {
        let Geometry {
            taps,
            strides,
            dilation,
            ..
        } = self.geometry;
        (outputs - 1) * strides[axis] + (taps[axis] - 1) * dilation[axis] + 1
    }

    /// Whether the taps that lie outside can be left out: a row of the window is one run, so that a part of
    /// it is, too.
    fn can_leave_out(&self) -> bool {
        let row = self.geometry.input[2] * self.pixel;
        self.geometry.taps[0] == 1
            && self.is_joined(self.pixel)
            && !self.has_border(0)
            // Tiles that run down a column would drive each other out of the first-level cache.
            && !row.is_multiple_of(1024)
    }

    /// Output pixels along `axis` divided into those for which the same taps are valid, with these.
    fn divide(&self, axis: usize, outputs: &Range<usize>) -> Vec<(Range<usize>, Range<usize>)> {
        let mut divided: Vec<(Range<usize>, Range<usize>)> = Vec::new();
        let whole = self.geometry.whole_outputs(axis);
        let mut output = outputs.start;
        while output < outputs.end {
            let taps = self.geometry.valid_taps(axis, output);
            let end = match whole.contains(&output) {
                true => whole.end.min(outputs.end),
                false => output + 1,
            };
            match divided.last_mut() {
                Some((outputs, same)) if *same == taps => outputs.end = end,
                _ => divided.push((output..end, taps)),
            }
            output = end;
        }
        divided
    }

    /// Whether the input is copied, and how far pixels of the copy are apart. Pixels whose distance is
    /// a multiple of what a way of the first-level cache holds would drive each other out of it.
    fn copy_pixel(&self) -> Option<usize> {
        let collides = self.channels >= 512
            && self.pixel.is_multiple_of(512)
            && self.geometry.strides == [1; 3]
            && self.kernel.columns() >= 128;
        let pixel = match self.channels >= 256 && self.channels.is_multiple_of(256) {
            true => self.channels + 16,
            false => self.channels,
        };
        let border = (0..3).any(|axis| self.has_border(axis));
        (collides || border && !self.can_leave_out()).then_some(pixel)
    }

    /// Regions that are computed one after the other for each strip of filters.
    fn tasks(&self, threads: usize, height: usize) -> Vec<Vec<Region>> {
        let Geometry {
            samples,
            output: [depths, rows, columns],
            strides,
            ..
        } = self.geometry;
        let all = samples * depths * rows * columns;
        let per_pixel = self.channels * strides[1] * strides[2];
        let mut pixels = (INPUT / per_pixel.max(1)).clamp(2 * height, 1024);
        if threads > 1 {
            // Enough tasks that all threads end at about the same time.
            pixels = pixels.min(all.div_ceil(4 * threads)).max(height);
        }
        let columns_at_once = match columns <= pixels {
            true => columns,
            false => pixels / height * height,
        };
        let rows_at_once = (pixels / columns_at_once).clamp(1, rows);
        let mut tasks = Vec::new();
        let mut task: Vec<Region> = Vec::new();
        let mut taken = 0;
        for slice in 0..samples * depths {
            for row in (0..rows).step_by(rows_at_once) {
                for column in (0..columns).step_by(columns_at_once) {
                    let region = Region {
                        sample: slice / depths,
                        depth: slice % depths,
                        rows: row..rows.min(row + rows_at_once),
                        columns: column..columns.min(column + columns_at_once),
                    };
                    let size = region.rows.len() * region.columns.len();
                    if taken > 0 && taken + size > pixels {
                        tasks.push(std::mem::take(&mut task));
                        taken = 0;
                    }
                    taken += size;
                    task.push(region);
                }
            }
        }
        tasks.push(task);
        tasks
    }

    /// Computes these regions and filters, which begin at a whole panel.
    ///
    /// # Safety
    /// Nothing else touches them meanwhile.
    unsafe fn task(
        &self,
        kernels: &Kernels,
        x: &[f32],
        y: SharedMut<'_>,
        regions: &[Region],
        filters: Range<usize>,
    ) {
        let mut scratch = Scratch::take(Use::Left);
        let patches: Vec<Patches<'_>> = match self.copy_pixel() {
            None => regions
                .iter()
                .flat_map(|region| self.in_place(x, region))
                .collect(),
            Some(pixel) => {
                let lengths = regions.iter().map(|region| self.copy_len(region, pixel));
                let mut rest = scratch.room(lengths.sum());
                let copy = |region: &Region| {
                    let (to, behind) =
                        std::mem::take(&mut rest).split_at_mut(self.copy_len(region, pixel));
                    rest = behind;
                    self.copy(x, region, pixel, to)
                };
                regions.iter().map(copy).collect()
            }
        };
        let longest = patches.iter().map(Patches::line_len).max().unwrap_or(0);
        let widest = kernels.widest(longest.min(TALL));
        let Epilogue { bias, activation } = self.epilogue;
        let (early, late) = match self.epilogue.rectifier() {
            Some(_) => (activation, EpilogueActivation::None),
            None => (EpilogueActivation::None, activation),
        };
        for mut strip in kernels.strips(filters.len(), widest) {
            strip.first += filters.start;
            let strip = FilterStrip {
                kernels,
                strip,
                panel: strip.first / kernels.panel() * kernels.panel() * self.kernel.rows()
                    + strip.first % kernels.panel(),
                epilogue: Epilogue {
                    bias: bias.map(|bias| &bias[strip.first..][..strip.columns]),
                    activation: early,
                },
                late: Epilogue {
                    bias: None,
                    activation: late,
                },
            };
            let most = KERNEL / (WIDTHS[strip.strip.width] * kernels.lanes);
            let mut patches: Vec<_> = patches
                .iter()
                .map(|patches| (patches, patches.k_blocks(most)))
                .collect();
            loop {
                let mut is_done = true;
                for (patches, blocks) in &mut patches {
                    if let Some(block) = blocks.next() {
                        is_done = false;
                        // SAFETY: the caller's; the strip is one of `filters`.
                        unsafe { self.block(&strip, patches, &block, y) };
                    }
                }
                if is_done {
                    break;
                }
            }
        }
    }

    /// Adds a block of the products for all pixels of a region.
    ///
    /// # Safety
    /// Nothing else touches these filters of these pixels meanwhile.
    unsafe fn block(
        &self,
        filters: &FilterStrip<'_>,
        patches: &Patches<'_>,
        block: &KBlock,
        y: SharedMut<'_>,
    ) {
        let (kernels, strip) = (filters.kernels, filters.strip);
        let (panel, rows) = (kernels.panel(), self.kernel.rows());
        let row = patches.kernel_row + block.runs.start * patches.kernel_run + block.values.start;
        let b = &self.kernel.panels()[filters.panel + row * panel..];
        // How far the next line of pixels and the next pixel in it are, in input and result.
        let region = &patches.region;
        let Geometry { strides, .. } = self.geometry;
        let down = (strides[1] * patches.row, self.layout.axes[1]);
        let right = (strides[2] * patches.pixel, self.layout.axes[2]);
        let (lines, line, next) = match patches.runs_down() {
            true => (region.columns.len(), right, down),
            false => (region.rows.len(), down, right),
        };
        let first = [region.depth, region.rows.start, region.columns.start];
        let c_first = self.layout.at(region.sample, first) + strip.first;
        let (epilogue, late, residual) = match block.last {
            true => (filters.epilogue, filters.late, self.residual),
            false => Default::default(),
        };
        let relu = epilogue.rectifier();
        let pixels = patches.line_len();
        let tiles = pixels.div_ceil(kernels.heights[strip.width.max(1)]);
        for number in 0..lines {
            for tile in 0..tiles {
                let (pixel, height) = tile_rows(pixels, tiles, tile);
                let a = number * line.0 + pixel * next.0 + block.values.start;
                let c = c_first + number * line.1 + pixel * next.1;
                let tile = Tile {
                    a: &patches.input[a..],
                    a_row: next.0,
                    a_step: 1,
                    b,
                    b_step: panel,
                    b_panel: rows * panel,
                    c: y.from(c),
                    c_row: next.1,
                    depth: block.values.len(),
                    runs: &patches.runs[block.runs.clone()],
                    b_run: patches.kernel_run * panel,
                    last: strip.last,
                    resume: !block.first,
                    bias: epilogue.bias,
                    residual: residual.map(|residual| &residual[c..]),
                    relu,
                };
                // SAFETY: for a and b, pixel + height ≤ pixels of the line, whose patches lie in the input
                // (`in_place`, `copy`), and the last run's last value has a row < `rows` in each panel. For
                // c, these pixels are at most the last of the region and strip.first + strip.columns ≤
                // filters, which `check` compared to the length of y, which is the residual's.
                unsafe { kernels.compute(strip.width, height, &tile) };
                if late.activation != EpilogueActivation::None {
                    for c in (0..height).map(|row| c + row * next.1) {
                        // SAFETY: likewise.
                        late.apply_row(unsafe { y.slice(c..c + strip.columns) }, 0);
                    }
                }
            }
        }
    }

    /// Whether the taps of a window's row lie next to each other, so that the row is one run.
    fn is_joined(&self, pixel: usize) -> bool {
        pixel == self.channels && self.geometry.dilation[2] == 1
    }

    /// The patches of a region in `input`, where slices that a window sees, rows and pixels are as far apart
    /// as `strides` says; those from `first` on of which there are `taps` are seen.
    fn patches<'a>(
        &self,
        region: Region,
        input: &'a [f32],
        [slice, row, pixel]: [usize; 3],
        kernel_tap: usize,
        [depths, rows, columns]: [usize; 3],
    ) -> Patches<'a> {
        let [_, next_row, next_column] = self.geometry.dilation;
        let (in_row, run_len, kernel_taps) = match self.is_joined(pixel) {
            true => (1, columns * self.channels, self.geometry.taps[2]),
            false => (columns, self.channels, 1),
        };
        let mut runs = Vec::with_capacity(depths * rows * in_row);
        for d in 0..depths {
            for r in 0..rows {
                let row = d * slice + r * next_row * row;
                runs.extend((0..in_row).map(|run| row + run * next_column * pixel));
            }
        }
        // No runs, no values: tiles then begin nowhere.
        let run_len = if runs.is_empty() { 0 } else { run_len };
        Patches {
            region,
            kernel_row: kernel_tap * self.channels,
            kernel_run: kernel_taps * self.channels,
            input,
            row,
            pixel,
            runs,
            run_len,
        }
    }

    /// The region's patches in the input itself, those at a border without the taps that are outside. There
    /// must be no border, or one that [can be left out](Self::can_leave_out).
    fn in_place<'a>(&self, x: &'a [f32], region: &Region) -> Vec<Patches<'a>> {
        let Geometry {
            input,
            taps,
            dilation,
            ..
        } = self.geometry;
        let row = input[2] * self.pixel;
        let strides = [dilation[0] * input[1] * row, row, self.pixel];
        let at = |axis, output, tap| self.geometry.input_pixel(axis, output, tap);
        let slice = region.sample * input[0] + at(0, region.depth, 0);
        let by_columns = self.divide(2, &region.columns);
        let mut patches = Vec::with_capacity(3 * by_columns.len());
        for (rows, row_taps) in self.divide(1, &region.rows) {
            for (columns, column_taps) in &by_columns {
                let region = Region {
                    rows: rows.clone(),
                    columns: columns.clone(),
                    ..*region
                };
                let taps = [taps[0], row_taps.len(), column_taps.len()];
                patches.push(if taps.contains(&0) {
                    self.patches(region, &[], [0; 3], 0, [0; 3])
                } else {
                    let first = (slice * input[1] + at(1, rows.start, row_taps.start)) * row
                        + at(2, columns.start, column_taps.start) * self.pixel
                        + self.first_channel;
                    let tap = row_taps.start * self.geometry.taps[2] + column_taps.start;
                    self.patches(region, &x[first..], strides, tap, taps)
                });
            }
        }
        patches
    }

    /// The length of a [copy](Self::copy).
    fn copy_len(&self, region: &Region, pixel: usize) -> usize {
        let (rows, columns) = (
            self.seen(1, region.rows.len()),
            self.seen(2, region.columns.len()),
        );
        self.geometry.taps[0] * rows * columns * pixel
    }

    /// Copies what the region's windows see to `to`, zeros where that is outside the input.
    fn copy<'a>(&self, x: &[f32], region: &Region, pixel: usize, to: &'a mut [f32]) -> Patches<'a> {
        let Geometry {
            input,
            taps,
            strides,
            dilation,
            before,
            ..
        } = self.geometry;
        let (rows, columns) = (
            self.seen(1, region.rows.len()),
            self.seen(2, region.columns.len()),
        );
        // The input pixel, or `None` outside.
        let inside = |axis: usize, output: usize, further: usize| {
            let pixel = (output * strides[axis] + further) as isize - before[axis];
            usize::try_from(pixel)
                .ok()
                .filter(|&pixel| pixel < input[axis])
        };
        let first_column = (region.columns.start * strides[2]) as isize - before[2];
        let left = (-first_column).clamp(0, columns as isize) as usize;
        let right = (input[2] as isize - first_column).clamp(left as isize, columns as isize);
        let (inner, from_column) = (left..right as usize, first_column.max(0) as usize);
        let row_len = columns * pixel;
        for (number, to) in to.chunks_exact_mut(row_len.max(1)).enumerate() {
            let (d, row) = (number / rows, number % rows);
            let slice = inside(0, region.depth, d * dilation[0]);
            let from = slice.zip(inside(1, region.rows.start, row));
            let Some((slice, input_row)) = from.filter(|_| !inner.is_empty()) else {
                to.fill(0.0);
                continue;
            };
            let slice = region.sample * input[0] + slice;
            let from = (slice * input[1] + input_row) * input[2] + from_column;
            let from = &x[from * self.pixel + self.first_channel..];
            to[..inner.start * pixel].fill(0.0);
            to[inner.end * pixel..].fill(0.0);
            let to = &mut to[inner.start * pixel..inner.end * pixel];
            if pixel == self.pixel {
                to.copy_from_slice(&from[..to.len()]);
            } else {
                let from = from.chunks(self.pixel);
                for (to, from) in to.chunks_exact_mut(pixel).zip(from) {
                    to[..self.channels].copy_from_slice(&from[..self.channels]);
                }
            }
        }
        let strides = [rows * row_len, row_len, pixel];
        self.patches(region.clone(), to, strides, 0, taps)
    }
}
