//! A convolution of one group as a matrix product whose left operand is never written out: the tile
//! kernel walks over the cells of the window in the input itself. At a border it leaves out the cells
//! of the window that lie outside; where that is not simple, a few rows are copied with the border
//! around them.
//!
//! Each element is one chain over depth, height, width and channels of the window in that order,
//! whatever the tiling and the number of threads.

use std::ops::Range;

use rayon::prelude::*;

use super::piece::{Block, Lie, Piece, Segment};
use crate::kernels::isa::Isa;
use crate::kernels::matmul::pack::Scratch;
use crate::kernels::matmul::tile::{Kernels, Rectifier, Strip, Tile, WIDTHS, tile_rows};
use crate::kernels::matmul::{Epilogue, EpilogueActivation, PackedMatrix};

/// Values of the input that a task works on, so that they stay in the second-level cache.
const INPUT: usize = 128 * 1024;

/// Values of the kernel that are gone through for all cells of a task before the next ones, so that they
/// stay in the first-level cache.
const KERNEL: usize = 6 * 1024;

/// Multiply-adds below which one thread does everything (about 20 µs).
const ALONE: usize = 1 << 21;

/// Rows of a tile from which on a wider one is better than a taller one: a value of the input that is
/// read then serves more filters. With fewer rows, reading the kernel takes longer than multiplying.
const TALL: usize = 6;

/// A convolution of the channels of one group. Spatial sizes are three.
#[derive(Clone, Copy)]
pub(super) struct Direct<'a> {
    pub samples: usize,
    pub input: [usize; 3],
    /// Values per cell of the input, of which the group has `channels` from `first_channel` on.
    pub cell: usize,
    pub first_channel: usize,
    pub channels: usize,
    /// The window's sizes.
    pub taps: [usize; 3],
    pub strides: [usize; 3],
    pub dilation: [usize; 3],
    /// How far in front of the input (or behind its beginning) the first window begins.
    pub before: [isize; 3],
    /// How many cells are computed.
    pub output: [usize; 3],
    /// The kernel as a matrix: a row for each cell of the window and channel, a column for each filter.
    pub kernel: &'a PackedMatrix,
    pub place: Place,
    pub epilogue: Epilogue<'a>,
}

/// Where in the result the filters of a cell are.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// Of the first cell.
    pub first: usize,
    /// How far the next sample's is.
    pub sample: usize,
    /// How far the next one's along each axis is.
    pub axes: [usize; 3],
}

/// Filters of which all tiles have the same width, and what ends their sums.
struct Columns<'a> {
    kernels: &'a Kernels,
    strip: Strip,
    bias: *const f32,
    relu: Option<Rectifier>,
    /// What the tile kernel leaves to be done.
    late: Epilogue<'a>,
}

/// The result's memory, of which tasks write different elements.
#[derive(Clone, Copy)]
struct Shared(*mut f32);

// SAFETY: tasks are given different cells or filters of the result.
unsafe impl Sync for Shared {}

impl Direct<'_> {
    /// Computes into `y`.
    ///
    /// # Safety
    /// `place` must lead to different elements within `y` for every sample, cell and filter, and
    /// nothing else may touch them meanwhile.
    ///
    /// # Panics
    /// If `x` or the kernel contradict the sizes.
    pub unsafe fn run(mut self, x: &[f32], y: *mut f32) {
        let cells: usize = self.input.iter().product();
        assert_eq!(x.len(), self.samples * cells * self.cell, "direct: input");
        assert!(
            self.first_channel + self.channels <= self.cell,
            "direct: channels"
        );
        let rows = self.taps.iter().product::<usize>() * self.channels;
        assert_eq!(self.kernel.rows(), rows, "direct: kernel");
        self.flatten();
        let filters = self.kernel.columns();
        let outputs = self.samples * self.output.iter().product::<usize>();
        if outputs == 0 || filters == 0 {
            return;
        }
        let kernels = Kernels::of(Isa::detect());
        let threads = match outputs.saturating_mul(rows).saturating_mul(filters) < ALONE {
            true => 1,
            false => rayon::current_num_threads(),
        };
        let tasks = self.tasks(threads, kernels.heights[1]);
        // Filters are divided too where there are too few cells for all threads.
        let panel = 2 * kernels.lanes;
        let panels = filters.div_ceil(panel);
        let parts = match threads {
            1 => 1,
            threads => (2 * threads).div_ceil(tasks.len()).min(panels),
        };
        let width = panels.div_ceil(parts) * panel;
        let parts = filters.div_ceil(width);
        let shared = Shared(y);
        let work = |number: usize| {
            let (task, part) = (&tasks[number / parts], number % parts);
            let filters = part * width..filters.min((part + 1) * width);
            // SAFETY: tasks have different cells, parts different filters, which the caller vouches
            // for.
            unsafe { self.task(kernels, x, shared, task, filters) };
        };
        if threads == 1 {
            (0..tasks.len() * parts).for_each(work);
        } else {
            (0..tasks.len() * parts).into_par_iter().for_each(work);
        }
    }

    /// Makes one long row of cells of a window that sees one cell at a time.
    fn flatten(&mut self) {
        let in_order = |axis: usize, next: usize| self.place.axes[axis] == next;
        let row = self.output[2] * self.place.axes[2];
        let slice = self.output[1] * row;
        let plain = self.taps == [1; 3]
            && self.strides == [1; 3]
            && self.before == [0; 3]
            && self.output == self.input
            && in_order(1, row)
            && in_order(0, slice)
            && self.place.sample == self.output[0] * slice;
        if plain {
            let cells = self.samples * self.input.iter().product::<usize>();
            self.samples = 1;
            self.input = [1, 1, cells];
            self.output = self.input;
        }
    }

    /// Whether windows reach beyond the input along this axis.
    fn has_border(&self, axis: usize) -> bool {
        let last = (self.output[axis].max(1) - 1) * self.strides[axis]
            + (self.taps[axis] - 1) * self.dilation[axis];
        self.before[axis] > 0 || last as isize - self.before[axis] >= self.input[axis] as isize
    }

    /// Whether what a window sees of the input is a stretch for each of its rows, so that a part of it
    /// is, too.
    fn can_leave_out(&self) -> bool {
        let row = self.input[2] * self.cell;
        self.taps[0] == 1
            && self.is_joined(self.cell)
            && !self.has_border(0)
            // Tiles that run down a column would drive each other out of the first-level cache.
            && !row.is_multiple_of(1024)
    }

    /// The cells of the window along `axis` that an output cell sees of the input.
    fn seen_taps(&self, axis: usize, output: usize) -> Range<usize> {
        let (size, dilation) = (self.taps[axis], self.dilation[axis] as isize);
        let first = (output * self.strides[axis]) as isize - self.before[axis];
        // The first cell of the window at or behind an input cell.
        let from = |cell: isize| {
            let distance = (cell - first).max(0);
            (((distance + dilation - 1) / dilation) as usize).min(size)
        };
        from(0)..from(self.input[axis] as isize)
    }

    /// Output cells along `axis` divided into those that see the same cells of the window, with these.
    fn runs(&self, axis: usize, cells: &Range<usize>) -> Vec<(Range<usize>, Range<usize>)> {
        let mut runs: Vec<(Range<usize>, Range<usize>)> = Vec::new();
        for cell in cells.clone() {
            let taps = self.seen_taps(axis, cell);
            match runs.last_mut() {
                Some((cells, same)) if *same == taps => cells.end = cell + 1,
                _ => runs.push((cell..cell + 1, taps)),
            }
        }
        runs
    }

    /// Whether the input is copied, and how far cells of the copy are apart. Cells whose distance is
    /// a multiple of what a way of the first-level cache holds would drive each other out of it.
    fn copies(&self) -> Option<usize> {
        let collides = self.channels >= 512
            && self.cell.is_multiple_of(512)
            && self.strides == [1; 3]
            && self.kernel.columns() >= 128;
        let cell = match self.channels >= 256 && self.channels.is_multiple_of(256) {
            true => self.channels + 16,
            false => self.channels,
        };
        let border = (0..3).any(|axis| self.has_border(axis));
        (collides || border && !self.can_leave_out()).then_some(cell)
    }

    /// Segments that are computed one after the other for each panel of filters.
    fn tasks(&self, threads: usize, height: usize) -> Vec<Vec<Segment>> {
        let [depths, rows, columns] = self.output;
        let all = self.samples * depths * rows * columns;
        let per_cell = self.channels * self.strides[1] * self.strides[2];
        let mut cells = (INPUT / per_cell.max(1)).clamp(2 * height, 1024);
        if threads > 1 {
            // Enough tasks that all threads end at about the same time.
            cells = cells.min(all.div_ceil(4 * threads)).max(height);
        }
        let columns_at_once = match columns <= cells {
            true => columns,
            false => cells / height * height,
        };
        let rows_at_once = (cells / columns_at_once).clamp(1, rows);
        let mut tasks = Vec::new();
        let mut task: Vec<Segment> = Vec::new();
        let mut taken = 0;
        for slice in 0..self.samples * depths {
            for row in (0..rows).step_by(rows_at_once) {
                for column in (0..columns).step_by(columns_at_once) {
                    let segment = Segment {
                        sample: slice / depths,
                        depth: slice % depths,
                        rows: row..rows.min(row + rows_at_once),
                        columns: column..columns.min(column + columns_at_once),
                    };
                    let size = segment.rows.len() * segment.columns.len();
                    if taken > 0 && taken + size > cells {
                        tasks.push(std::mem::take(&mut task));
                        taken = 0;
                    }
                    taken += size;
                    task.push(segment);
                }
            }
        }
        tasks.push(task);
        tasks
    }

    /// # Safety
    /// As [`run`](Self::run), for the cells of `task` and these filters, which begin at a whole panel.
    unsafe fn task(
        &self,
        kernels: &Kernels,
        x: &[f32],
        y: Shared,
        task: &[Segment],
        filters: Range<usize>,
    ) {
        let mut scratch = None;
        let pieces: Vec<Piece<'_>> = match self.copies() {
            None => task
                .iter()
                .flat_map(|segment| self.in_place(x, segment))
                .collect(),
            Some(cell) => {
                let mut copy = Scratch::take(2);
                let lengths = task.iter().map(|segment| self.copy_len(segment, cell));
                let mut to = copy.room(lengths.sum());
                let mut pieces = Vec::with_capacity(task.len());
                for segment in task {
                    // SAFETY: there is room for the copies of all segments one after the other.
                    unsafe {
                        pieces.push(self.copy(x, segment, cell, to));
                        to = to.add(self.copy_len(segment, cell));
                    }
                }
                scratch = Some(copy);
                pieces
            }
        };
        let longest = pieces.iter().map(Piece::length).max().unwrap_or(0);
        let widest = kernels.widest(longest.min(TALL));
        let epilogue = self.epilogue;
        let relu = epilogue.rectifier();
        let late = Epilogue {
            bias: None,
            activation: match relu {
                Some(_) => EpilogueActivation::None,
                None => epilogue.activation,
            },
        };
        for strip in kernels.strips(filters.len(), widest) {
            let strip = Strip {
                first: filters.start + strip.first,
                ..strip
            };
            let columns = Columns {
                kernels,
                strip,
                bias: match epilogue.bias {
                    Some(bias) => bias[strip.first..][..strip.columns].as_ptr(),
                    None => std::ptr::null(),
                },
                relu,
                late,
            };
            let most = KERNEL / (WIDTHS[strip.width] * kernels.lanes);
            let mut pieces: Vec<_> = pieces
                .iter()
                .map(|piece| (piece, piece.lie.blocks(most)))
                .collect();
            loop {
                let mut is_done = true;
                for (piece, blocks) in &mut pieces {
                    if let Some(block) = blocks.next() {
                        is_done = false;
                        // SAFETY: the caller's; the blocks of a piece follow one another.
                        unsafe { self.block(&columns, piece, &block, y) };
                    }
                }
                if is_done {
                    break;
                }
            }
        }
        if let Some(scratch) = scratch {
            scratch.give_back(2);
        }
    }

    /// Adds one block of the kernel for all cells of a piece.
    ///
    /// # Safety
    /// As [`task`](Self::task), after the blocks before it.
    unsafe fn block(&self, columns: &Columns<'_>, piece: &Piece<'_>, block: &Block, y: Shared) {
        let (kernels, strip, lie) = (columns.kernels, columns.strip, &piece.lie);
        let panel = 2 * kernels.lanes;
        let rows = self.kernel.rows();
        let row = piece.kernel_row + block.stretches.start * piece.kernel_stretch;
        let at = strip.first / panel * rows * panel
            + strip.first % panel
            + (row + block.depth.start) * panel;
        let b = self.kernel.panels().wrapping_add(at);
        let down = (self.strides[1] * lie.row, self.place.axes[1]);
        let right = (self.strides[2] * lie.cell, self.place.axes[2]);
        // How far the next line and the next cell in it are, in input and result.
        let (lines, line, next) = match piece.is_tall() {
            true => (piece.columns.len(), right, down),
            false => (piece.rows.len(), down, right),
        };
        let c_first = y.0.wrapping_add(
            self.place.first
                + piece.segment.sample * self.place.sample
                + piece.segment.depth * self.place.axes[0]
                + piece.rows.start * self.place.axes[1]
                + piece.columns.start * self.place.axes[2]
                + strip.first,
        );
        let (bias, relu, late) = match block.last {
            true => (columns.bias, columns.relu, columns.late),
            false => (std::ptr::null(), None, Epilogue::default()),
        };
        let cells = piece.length();
        let tiles = cells.div_ceil(kernels.heights[strip.width.max(1)]);
        for number in 0..lines {
            for tile in 0..tiles {
                let (cell, height) = tile_rows(cells, tiles, tile);
                let a = block.depth.start + number * line.0 + cell * next.0;
                // SAFETY: a panel holds a row of the kernel for each cell of the window and channel; the
                // tile's rows are output cells of the piece, whose windows lie in what `Lie` describes.
                unsafe {
                    let c = c_first.add(number * line.1 + cell * next.1);
                    kernels.tiles[strip.width][height - 1](&Tile {
                        a: lie.first.wrapping_add(a),
                        a_row: next.0,
                        a_step: 1,
                        b,
                        b_step: panel,
                        b_panel: rows * panel,
                        c,
                        c_row: next.1,
                        depth: block.depth.len(),
                        stretches: &lie.stretches[block.stretches.clone()],
                        b_stretch: piece.kernel_stretch * panel,
                        last: strip.last,
                        resume: !block.first,
                        bias,
                        relu,
                    });
                    if late.activation != EpilogueActivation::None {
                        for row in 0..height {
                            let c = c.add(row * next.1);
                            late.apply_row(std::slice::from_raw_parts_mut(c, strip.columns), 0);
                        }
                    }
                }
            }
        }
    }

    /// Whether the cells of a window's row lie next to each other, so that the row is one stretch.
    fn is_joined(&self, cell: usize) -> bool {
        cell == self.channels && self.dilation[2] == 1
    }

    /// What lies at `first`, with rows, cells and the slices that a window sees as far apart as given,
    /// of which `taps` are seen.
    fn lie(
        &self,
        first: *const f32,
        slice: usize,
        row: usize,
        cell: usize,
        taps: [usize; 3],
    ) -> Lie {
        let [depths, rows, columns] = taps;
        let (pieces, depth) = match self.is_joined(cell) {
            true => (1, columns * self.channels),
            false => (columns, self.channels),
        };
        let mut stretches = Vec::with_capacity(depths * rows * pieces);
        for d in 0..depths {
            for r in 0..rows {
                for piece in 0..pieces {
                    let column = piece * self.dilation[2] * cell;
                    stretches.push(d * slice + r * self.dilation[1] * row + column);
                }
            }
        }
        Lie {
            first,
            row,
            cell,
            stretches,
            depth,
        }
    }

    /// Rows of the kernel from one stretch to the next.
    fn kernel_stretch(&self, cell: usize) -> usize {
        match self.is_joined(cell) {
            true => self.taps[2] * self.channels,
            false => self.channels,
        }
    }

    /// Rows of the input that `rows` of the output see.
    fn seen_rows(&self, rows: usize) -> usize {
        (rows - 1) * self.strides[1] + (self.taps[1] - 1) * self.dilation[1] + 1
    }

    /// Columns of the input that `columns` of the output see.
    fn seen_columns(&self, columns: usize) -> usize {
        (columns - 1) * self.strides[2] + (self.taps[2] - 1) * self.dilation[2] + 1
    }

    /// The segment's windows in the input itself, those at a border without what is outside. There must be
    /// no border, or one that [can be left out](Self::can_leave_out).
    fn in_place<'a>(&self, x: &[f32], segment: &'a Segment) -> Vec<Piece<'a>> {
        let row = self.input[2] * self.cell;
        let next_slice = self.dilation[0] * self.input[1] * row;
        // The input cell that an output cell sees first.
        let at = |axis: usize, output: usize, tap: usize| {
            let cell = output * self.strides[axis] + tap * self.dilation[axis];
            cell.wrapping_add_signed(-self.before[axis])
        };
        let slice = segment.sample * self.input[0] + at(0, segment.depth, 0);
        let column_runs = self.runs(2, &segment.columns);
        let mut pieces = Vec::with_capacity(3 * column_runs.len());
        for (rows, row_taps) in self.runs(1, &segment.rows) {
            for (columns, column_taps) in &column_runs {
                let seen = [self.taps[0], row_taps.len(), column_taps.len()];
                let first = if seen.contains(&0) {
                    0
                } else {
                    (slice * self.input[1] + at(1, rows.start, row_taps.start)) * row
                        + at(2, columns.start, column_taps.start) * self.cell
                        + self.first_channel
                };
                let first = x.as_ptr().wrapping_add(first);
                let tap = row_taps.start * self.taps[2] + column_taps.start;
                pieces.push(Piece {
                    segment,
                    rows: rows.clone(),
                    columns: columns.clone(),
                    kernel_row: tap * self.channels,
                    kernel_stretch: self.kernel_stretch(self.cell),
                    lie: self.lie(first, next_slice, row, self.cell, seen),
                });
            }
        }
        pieces
    }

    fn copy_len(&self, segment: &Segment, cell: usize) -> usize {
        self.taps[0]
            * self.seen_rows(segment.rows.len())
            * self.seen_columns(segment.columns.len())
            * cell
    }

    /// Copies what the segment's windows see to `to`, zeros where that is outside the input.
    ///
    /// # Safety
    /// There must be room for [`copy_len`](Self::copy_len) values.
    unsafe fn copy<'a>(
        &self,
        x: &[f32],
        segment: &'a Segment,
        cell: usize,
        to: *mut f32,
    ) -> Piece<'a> {
        let (rows, columns) = (
            self.seen_rows(segment.rows.len()),
            self.seen_columns(segment.columns.len()),
        );
        // The input cell, or `None` outside.
        let inside = |axis: usize, output: usize, further: usize| {
            let cell = (output * self.strides[axis] + further) as isize - self.before[axis];
            usize::try_from(cell)
                .ok()
                .filter(|&cell| cell < self.input[axis])
        };
        let first_column = (segment.columns.start * self.strides[2]) as isize - self.before[2];
        let left = (-first_column).clamp(0, columns as isize) as usize;
        let right = (self.input[2] as isize - first_column).clamp(left as isize, columns as isize);
        let (inner, from_column) = (left..right as usize, first_column.max(0) as usize);
        // SAFETY: rows and columns stay within the room; what is read lies within the input.
        unsafe {
            for d in 0..self.taps[0] {
                let slice = inside(0, segment.depth, d * self.dilation[0]);
                for row in 0..rows {
                    let to = to.add((d * rows + row) * columns * cell);
                    let from = slice.zip(inside(1, segment.rows.start, row));
                    let Some((slice, input_row)) = from else {
                        to.write_bytes(0, columns * cell);
                        continue;
                    };
                    let slice = segment.sample * self.input[0] + slice;
                    let from = (slice * self.input[1] + input_row) * self.input[2] + from_column;
                    let from = x
                        .as_ptr()
                        .wrapping_add(from * self.cell + self.first_channel);
                    to.write_bytes(0, inner.start * cell);
                    to.add(inner.end * cell)
                        .write_bytes(0, (columns - inner.end) * cell);
                    let to = to.add(inner.start * cell);
                    if cell == self.cell {
                        to.copy_from_nonoverlapping(from, inner.len() * cell);
                    } else {
                        for column in 0..inner.len() {
                            to.add(column * cell).copy_from_nonoverlapping(
                                from.add(column * self.cell),
                                self.channels,
                            );
                        }
                    }
                }
            }
        }
        Piece {
            segment,
            rows: segment.rows.clone(),
            columns: segment.columns.clone(),
            kernel_row: 0,
            kernel_stretch: self.kernel_stretch(cell),
            lie: self.lie(to, rows * columns * cell, columns * cell, cell, self.taps),
        }
    }
}
