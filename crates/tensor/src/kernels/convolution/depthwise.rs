//! Depthwise convolutions: each channel has kernels of its own. Channels lie next to each other, so
//! vectors run over them, and several cells of a row are computed at once.
//!
//! Each element is one chain over the cells of the window in their order, without those outside the
//! input.

use std::ops::Range;

use rayon::prelude::*;

use super::band::seeing;
use super::direct::Place;
use super::input_gradient::{Phase, phases};
use super::{Convolution, reference};
use crate::kernels::isa::Isa;
use crate::kernels::matmul::lanes::{Lanes, Portable};
use crate::kernels::matmul::tile::Rectifier;
use crate::kernels::matmul::{Epilogue, EpilogueActivation};

/// Multiply-adds below which one thread does everything.
const ALONE: usize = 1 << 18;

/// A depthwise convolution with one kernel per channel.
struct Depthwise<'a> {
    samples: usize,
    input: [usize; 3],
    channels: usize,
    taps: [usize; 3],
    strides: [usize; 3],
    dilation: [usize; 3],
    /// How far in front of the input the first window begins.
    before: [isize; 3],
    output: [usize; 3],
    /// `[taps, channels]`.
    kernel: &'a [f32],
    place: Place,
    epilogue: Epilogue<'a>,
}

/// The result's memory, of which tasks write different elements.
#[derive(Clone, Copy)]
struct Shared(*mut f32);

// SAFETY: tasks are given different rows of the result, or different channels.
unsafe impl Sync for Shared {}

/// See [`super::convolution_fused`].
pub(super) fn convolution(
    sizes: &Convolution,
    x: &[f32],
    kernel: &[f32],
    y: &mut [f32],
    epilogue: &Epilogue<'_>,
) {
    if sizes.filters != sizes.channels {
        reference::convolution(sizes, x, kernel, y);
        for row in y.chunks_exact_mut(sizes.filters.max(1)) {
            epilogue.apply_row(row, 0);
        }
        return;
    }
    let [depth, height, width] = sizes.output;
    let depthwise = Depthwise {
        samples: sizes.samples,
        input: sizes.input,
        channels: sizes.channels,
        taps: sizes.window.size,
        strides: sizes.window.strides,
        dilation: sizes.window.dilation,
        before: sizes.window.padding.map(|(before, _)| before as isize),
        output: sizes.output,
        kernel,
        place: Place {
            first: 0,
            sample: depth * height * width * sizes.channels,
            axes: [height * width, width, 1].map(|cells| cells * sizes.channels),
        },
        epilogue: *epilogue,
    };
    // SAFETY: the output's cells lie one after the other in `y`, which is as long as all of them.
    unsafe { depthwise.run(x, y.as_mut_ptr()) };
}

/// See [`super::input_gradient`].
pub(super) fn input_gradient(sizes: &Convolution, dy: &[f32], kernel: &[f32], dx: &mut [f32]) {
    let strides = sizes.window.strides;
    let both = (0..3).any(|axis| strides[axis] > 1 && sizes.window.dilation[axis] > 1);
    if sizes.filters != sizes.channels || both {
        return reference::input_gradient(sizes, dy, kernel, dx);
    }
    let of_axis: [Vec<Phase>; 3] = std::array::from_fn(|axis| phases(sizes, axis));
    if of_axis.iter().flatten().any(|phase| phase.taps == 0) {
        dx.fill(0.0);
    }
    let channels = sizes.channels;
    let [_, height, width] = sizes.input;
    let axes = [height * width, width, 1].map(|cells| cells * channels);
    let mut reversed = Vec::with_capacity(kernel.len());
    for &depth in &of_axis[0] {
        for &row in &of_axis[1] {
            for &column in &of_axis[2] {
                let phase = [depth, row, column];
                if phase
                    .iter()
                    .any(|phase| phase.taps == 0 || phase.cells == 0)
                {
                    continue;
                }
                reversed.clear();
                for cell in Phase::kernel_cells(&phase, sizes) {
                    reversed.extend_from_slice(&kernel[cell * channels..][..channels]);
                }
                let depthwise = Depthwise {
                    samples: sizes.samples,
                    input: sizes.output,
                    channels,
                    taps: phase.map(|phase| phase.taps),
                    strides: [1; 3],
                    dilation: std::array::from_fn(|axis| match strides[axis] {
                        1 => sizes.window.dilation[axis],
                        _ => 1,
                    }),
                    before: phase.map(|phase| phase.before),
                    output: phase.map(|phase| phase.cells),
                    kernel: &reversed,
                    place: Place {
                        first: (0..3).map(|axis| phase[axis].start * axes[axis]).sum(),
                        sample: sizes.input.iter().product::<usize>() * channels,
                        axes: std::array::from_fn(|axis| axes[axis] * strides[axis]),
                    },
                    epilogue: Epilogue::default(),
                };
                // SAFETY: the cells of a phase are different cells of `dx`, which is as long as the
                // input.
                unsafe { depthwise.run(dy, dx.as_mut_ptr()) };
            }
        }
    }
}

impl Depthwise<'_> {
    /// # Safety
    /// `place` must lead to different elements within `y` for every sample, cell and channel, and
    /// nothing else may touch them meanwhile.
    unsafe fn run(&self, x: &[f32], y: *mut f32) {
        let cells: usize = self.input.iter().product();
        assert_eq!(
            x.len(),
            self.samples * cells * self.channels,
            "depthwise: input"
        );
        let taps: usize = self.taps.iter().product();
        assert_eq!(self.kernel.len(), taps * self.channels, "depthwise: kernel");
        let [depths, rows, columns] = self.output;
        let shared = Shared(y);
        let work = |row: usize| {
            // SAFETY: rows are different; the instructions are there.
            unsafe {
                match Isa::detect() {
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx512 => row_avx512(self, x, shared, row),
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx2 => row_avx2(self, x, shared, row),
                    _ => self.row::<Portable>(x, shared, row),
                }
            }
        };
        let all = self.samples * depths * rows;
        if all * columns * self.channels * taps < ALONE {
            (0..all).for_each(work);
        } else {
            let least = (rows / 4).max(1);
            (0..all).into_par_iter().with_min_len(least).for_each(work);
        }
    }

    /// The cells of an output's window along `axis` that lie in the input.
    fn inside(&self, axis: usize, output: usize) -> Range<usize> {
        let first = (output * self.strides[axis]) as isize - self.before[axis];
        let (dilation, size) = (self.dilation[axis] as isize, self.input[axis] as isize);
        let start =
            (-first).max(0).div_euclid(dilation) + isize::from((-first).max(0) % dilation > 0);
        let end = ((size - first).max(0) + dilation - 1) / dilation;
        let end = end.min(self.taps[axis] as isize).max(0) as usize;
        (start as usize).min(end)..end
    }

    /// Computes row `row` of the result, counted over samples and slices.
    ///
    /// # Safety
    /// As [`run`](Self::run), for that row; the machine must have the instructions of `L`.
    #[inline(always)]
    unsafe fn row<L: Lanes>(&self, x: &[f32], y: Shared, row: usize) {
        let [depths, rows, columns] = self.output;
        let (slice, row) = (row / rows, row % rows);
        let (sample, depth) = (slice / depths, slice % depths);
        let (in_depth, in_height) = (self.inside(0, depth), self.inside(1, row));
        // Columns whose windows lie inside along the width.
        let whole = |column: &usize| self.inside(2, *column).len() == self.taps[2];
        let first_whole = (0..columns).find(whole).unwrap_or(columns);
        let end_whole = (first_whole..columns)
            .rfind(whole)
            .map_or(first_whole, |last| last + 1);
        let c = self.place.first
            + sample * self.place.sample
            + depth * self.place.axes[0]
            + row * self.place.axes[1];
        let relu = self.epilogue.rectifier();
        // Blocks of a few sizes along the row, the same for all channels.
        let mut blocks = Vec::with_capacity(columns);
        let mut column = 0;
        while column < columns {
            let (cells, in_width) = if column >= first_whole && column < end_whole {
                (end_whole - column, 0..self.taps[2])
            } else {
                (1, self.inside(2, column))
            };
            let cells = [8, 4, 2, 1]
                .into_iter()
                .find(|&size| size <= cells)
                .unwrap_or(1);
            blocks.push((cells, column, in_width));
            column += cells;
        }
        for channel in (0..self.channels).step_by(L::COUNT) {
            for (cells, column, in_width) in &blocks {
                let block = Block {
                    sample,
                    depth,
                    row,
                    column: *column,
                    channel,
                    count: L::COUNT.min(self.channels - channel),
                    in_depth: in_depth.clone(),
                    in_height: in_height.clone(),
                    in_width: in_width.clone(),
                };
                let to = y.0.wrapping_add(c + column * self.place.axes[2] + channel);
                // SAFETY: the block's windows lie in the input, its cells in the result.
                unsafe {
                    match cells {
                        8 => self.block::<L, 8>(x, &block, to, relu),
                        4 => self.block::<L, 4>(x, &block, to, relu),
                        2 => self.block::<L, 2>(x, &block, to, relu),
                        _ => self.block::<L, 1>(x, &block, to, relu),
                    }
                }
            }
        }
        if relu.is_none() && self.epilogue.activation != EpilogueActivation::None {
            let late = Epilogue {
                bias: None,
                ..self.epilogue
            };
            for column in 0..columns {
                let to = y.0.wrapping_add(c + column * self.place.axes[2]);
                // SAFETY: a cell of the row has all channels.
                let cell = unsafe { std::slice::from_raw_parts_mut(to, self.channels) };
                late.apply_row(cell, 0);
            }
        }
    }

    /// Computes `CELLS` cells of a row for a vector of channels.
    ///
    /// # Safety
    /// As [`row`](Self::row); the cells of the window that `block` names must lie in the input for
    /// each of the output cells.
    #[inline(always)]
    unsafe fn block<L: Lanes, const CELLS: usize>(
        &self,
        x: &[f32],
        block: &Block,
        to: *mut f32,
        relu: Option<Rectifier>,
    ) {
        let step = self.strides[2] * self.channels;
        let at = |axis: usize, output: usize, tap: usize| {
            ((output * self.strides[axis] + tap * self.dilation[axis]) as isize - self.before[axis])
                as usize
        };
        // SAFETY: what is read lies in input and kernel, what is written in the result.
        unsafe {
            let mask = L::mask(block.count);
            let mut sums = [L::splat(0.0); CELLS];
            for d in block.in_depth.clone() {
                let slice = block.sample * self.input[0] + at(0, block.depth, d);
                for h in block.in_height.clone() {
                    let row = (slice * self.input[1] + at(1, block.row, h)) * self.input[2];
                    for w in block.in_width.clone() {
                        let from = (row + at(2, block.column, w)) * self.channels + block.channel;
                        let mut from = x.as_ptr().add(from);
                        let tap = (d * self.taps[1] + h) * self.taps[2] + w;
                        let tap = tap * self.channels + block.channel;
                        let tap = self.kernel.as_ptr().add(tap);
                        if block.count == L::COUNT {
                            let tap = L::load(tap);
                            for sum in &mut sums {
                                *sum = L::multiply_add(L::load(from), tap, *sum);
                                from = from.wrapping_add(step);
                            }
                        } else {
                            let tap = L::load_masked(tap, mask);
                            for sum in &mut sums {
                                *sum = L::multiply_add(L::load_masked(from, mask), tap, *sum);
                                from = from.wrapping_add(step);
                            }
                        }
                    }
                }
            }
            if let Some(bias) = self.epilogue.bias {
                let bias = L::load_masked(bias.as_ptr().add(block.channel), mask);
                for sum in &mut sums {
                    *sum = L::add(*sum, bias);
                }
            }
            for (cell, &sum) in sums.iter().enumerate() {
                let sum = match relu {
                    None => sum,
                    Some(Rectifier::Relu) => L::relu(sum),
                    Some(Rectifier::Relu6) => L::at_most(L::relu(sum), L::splat(6.0)),
                };
                L::store_masked(to.add(cell * self.place.axes[2]), sum, mask);
            }
        }
    }
}

/// A few cells of a row of the result and the cells of their windows that lie in the input.
struct Block {
    sample: usize,
    depth: usize,
    row: usize,
    column: usize,
    channel: usize,
    count: usize,
    in_depth: Range<usize>,
    in_height: Range<usize>,
    in_width: Range<usize>,
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
unsafe fn row_avx512(depthwise: &Depthwise<'_>, x: &[f32], y: Shared, row: usize) {
    // SAFETY: the caller's; this function is compiled for AVX-512.
    unsafe { depthwise.row::<crate::kernels::matmul::lanes::Avx512>(x, y, row) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn row_avx2(depthwise: &Depthwise<'_>, x: &[f32], y: Shared, row: usize) {
    // SAFETY: the caller's; this function is compiled for AVX2 and FMA.
    unsafe { depthwise.row::<crate::kernels::matmul::lanes::Avx2>(x, y, row) }
}

/// Vectors of channels whose sums are kept at once.
const VECTORS: usize = 4;

/// See [`super::weight_gradient`]; there is one filter per channel. Each element is the sum, over rows
/// of the output, of one chain per row.
pub(super) fn weight_gradient(sizes: &Convolution, x: &[f32], dy: &[f32], dkernel: &mut [f32]) {
    dkernel.fill(0.0);
    let shared = Shared(dkernel.as_mut_ptr());
    let isa = Isa::detect();
    let lanes = match isa {
        Isa::Avx512 => 16,
        Isa::Avx2 => 8,
        Isa::Portable => 4,
    };
    let threads = match dy.len() * sizes.window.cells() < ALONE {
        true => 1,
        false => rayon::current_num_threads(),
    };
    // Whole vectors for each thread, several at once where there are enough.
    let vectors = sizes.channels.div_ceil(lanes);
    let at_once = vectors.div_ceil(threads).clamp(1, 4 * VECTORS);
    let parts = vectors.div_ceil(at_once);
    let work = |part: usize| {
        let first = part * at_once * lanes;
        let channels = first..sizes.channels.min(first + at_once * lanes);
        // SAFETY: parts are different channels; the instructions are there.
        unsafe {
            match isa {
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512 => weights_avx512(sizes, x, dy, shared, channels),
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2 => weights_avx2(sizes, x, dy, shared, channels),
                _ => weights::<Portable>(sizes, x, dy, shared, channels),
            }
        }
    };
    if threads == 1 {
        (0..parts).for_each(work);
    } else {
        (0..parts).into_par_iter().for_each(work);
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
unsafe fn weights_avx512(
    s: &Convolution,
    x: &[f32],
    dy: &[f32],
    to: Shared,
    channels: Range<usize>,
) {
    // SAFETY: the caller's; this function is compiled for AVX-512.
    unsafe { weights::<crate::kernels::matmul::lanes::Avx512>(s, x, dy, to, channels) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn weights_avx2(s: &Convolution, x: &[f32], dy: &[f32], to: Shared, channels: Range<usize>) {
    // SAFETY: the caller's; this function is compiled for AVX2 and FMA.
    unsafe { weights::<crate::kernels::matmul::lanes::Avx2>(s, x, dy, to, channels) }
}

/// The gradient for a range of channels.
///
/// # Safety
/// The slices must have the lengths that the sizes say, nothing else may touch these channels of `to`,
/// and the machine must have the instructions of `L`.
#[inline(always)]
unsafe fn weights<L: Lanes>(
    sizes: &Convolution,
    x: &[f32],
    dy: &[f32],
    to: Shared,
    channels: Range<usize>,
) {
    let [depths, height, width] = sizes.output;
    let [taps_depth, taps_height, taps_width] = sizes.window.size;
    let window = &sizes.window;
    let at = |axis: usize, output: usize, tap: usize| {
        output * window.strides[axis] + tap * window.dilation[axis] - window.padding[axis].0
    };
    let columns: Vec<Range<usize>> = (0..taps_width).map(|w| seeing(sizes, 2, w)).collect();
    for row in 0..sizes.samples * depths * height {
        let (slice, row) = (row / height, row % height);
        let (sample, depth) = (slice / depths, slice % depths);
        for d in (0..taps_depth).filter(|&d| seeing(sizes, 0, d).contains(&depth)) {
            for h in (0..taps_height).filter(|&h| seeing(sizes, 1, h).contains(&row)) {
                let input =
                    (sample * sizes.input[0] + at(0, depth, d)) * sizes.input[1] + at(1, row, h);
                let line = Line {
                    sizes,
                    x: x.as_ptr()
                        .wrapping_add(input * sizes.input[2] * sizes.channels),
                    dy: dy
                        .as_ptr()
                        .wrapping_add((slice * height + row) * width * sizes.channels),
                };
                let tap = (d * taps_height + h) * taps_width;
                let mut w = 0;
                while w < taps_width {
                    let taps = (taps_width - w).min(3);
                    let ranges = &columns[w..w + taps];
                    let start = ranges.iter().map(|r| r.start).max().unwrap_or(0);
                    let end = ranges.iter().map(|r| r.end).min().unwrap_or(0).max(start);
                    // SAFETY: for the columns of each range the input cell exists.
                    unsafe {
                        match taps {
                            3 => line.add::<L, 3>(w, start..end, &channels, to, tap + w),
                            2 => line.add::<L, 2>(w, start..end, &channels, to, tap + w),
                            _ => line.add::<L, 1>(w, start..end, &channels, to, tap + w),
                        }
                        for (index, range) in ranges.iter().enumerate() {
                            let w = w + index;
                            // What is beside the columns that all of these cells share.
                            let (left, right) = match start < end {
                                true => (range.start..start, end..range.end),
                                false => (range.clone(), 0..0),
                            };
                            line.add::<L, 1>(w, left, &channels, to, tap + w);
                            line.add::<L, 1>(w, right, &channels, to, tap + w);
                        }
                    }
                    w += taps;
                }
            }
        }
    }
}

/// A row of the output with the row of the input that it saw through one row of the window.
struct Line<'a> {
    sizes: &'a Convolution,
    x: *const f32,
    dy: *const f32,
}

impl Line<'_> {
    /// Adds the products over `columns` for `TAPS` cells of the window from `w` on.
    ///
    /// # Safety
    /// As [`weights`], and the input cells must exist.
    #[inline(always)]
    unsafe fn add<L: Lanes, const TAPS: usize>(
        &self,
        w: usize,
        columns: Range<usize>,
        channels: &Range<usize>,
        to: Shared,
        tap: usize,
    ) {
        if columns.is_empty() {
            return;
        }
        let mut channel = channels.start;
        // SAFETY: the caller's.
        unsafe {
            while channel + VECTORS * L::COUNT <= channels.end {
                self.sums::<L, TAPS, VECTORS>(w, columns.clone(), channel, L::COUNT, to, tap);
                channel += VECTORS * L::COUNT;
            }
            while channel < channels.end {
                let count = L::COUNT.min(channels.end - channel);
                self.sums::<L, TAPS, 1>(w, columns.clone(), channel, count, to, tap);
                channel += count;
            }
        }
    }

    /// As [`add`](Self::add), for `VECTORS` vectors of channels, the last of `count` lanes.
    ///
    /// # Safety
    /// As [`add`](Self::add).
    #[inline(always)]
    unsafe fn sums<L: Lanes, const TAPS: usize, const VECTORS: usize>(
        &self,
        w: usize,
        columns: Range<usize>,
        channel: usize,
        count: usize,
        to: Shared,
        tap: usize,
    ) {
        let Convolution {
            channels, window, ..
        } = *self.sizes;
        // SAFETY: columns and channels lie in the rows, taps and channels in the result.
        unsafe {
            let mask = L::mask(count);
            let load = |from: *const f32| match VECTORS {
                1 => L::load_masked(from, mask),
                _ => L::load(from),
            };
            let mut sums = [[L::splat(0.0); VECTORS]; TAPS];
            let first =
                columns.start * window.strides[2] + w * window.dilation[2] - window.padding[2].0;
            let mut x = self.x.add(first * channels + channel);
            let mut dy = self.dy.add(columns.start * channels + channel);
            for _ in columns {
                let mut right = [L::splat(0.0); VECTORS];
                for (vector, right) in right.iter_mut().enumerate() {
                    *right = load(dy.add(vector * L::COUNT));
                }
                for (tap, sums) in sums.iter_mut().enumerate() {
                    let x = x.add(tap * window.dilation[2] * channels);
                    for (vector, sum) in sums.iter_mut().enumerate() {
                        *sum = L::multiply_add(load(x.add(vector * L::COUNT)), right[vector], *sum);
                    }
                }
                x = x.wrapping_add(window.strides[2] * channels);
                dy = dy.wrapping_add(channels);
            }
            for (index, sums) in sums.iter().enumerate() {
                for (vector, &sum) in sums.iter().enumerate() {
                    let to =
                        to.0.add((tap + index) * channels + channel + vector * L::COUNT);
                    if VECTORS == 1 {
                        let sum = L::add(L::load_masked(to, mask), sum);
                        L::store_masked(to, sum, mask);
                    } else {
                        L::store(to, L::add(L::load(to), sum));
                    }
                }
            }
        }
    }
}
