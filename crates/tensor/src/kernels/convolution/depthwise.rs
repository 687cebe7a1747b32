//! Depthwise convolutions: each channel has kernels of its own. Channels lie next to each other, so
//! vectors run over them, and several pixels of a row are computed at once.
//!
//! Each element is one chain over the taps in their order, without those outside the input.

use std::ops::Range;

use super::geometry::{Geometry, OutputLayout};
use super::phase::phases;
use super::{ConvolutionSizes, reference};
use crate::kernels::isa::Isa;
use crate::kernels::matmul::lanes::{Lanes, with_lanes};
use crate::kernels::matmul::tile::Rectifier;
use crate::kernels::matmul::{Epilogue, EpilogueActivation};
use crate::kernels::parallel::{self, SharedMut};

/// How many multiply-adds of a matrix product one of these takes, as each needs operands of its own.
const COST: usize = 8;

/// A depthwise convolution with one kernel per channel.
struct Depthwise<'a> {
    geometry: Geometry,
    channels: usize,
    /// `[taps, channels]`.
    kernel: &'a [f32],
    layout: OutputLayout,
    epilogue: Epilogue<'a>,
}

/// A tap that falls into the input: where what it sees lies, but for the column, and its kernels.
struct Tap {
    x: usize,
    kernel: usize,
}

/// A few pixels of a row of the result.
struct RowTile {
    pixels: usize,
    /// The taps that are valid for each, of the row's.
    taps: Range<usize>,
    /// What the first pixel's column adds to a tap's place; it wraps where the window begins before the
    /// input.
    x: usize,
    /// Where the first pixel's values lie in the result.
    first: usize,
}

/// See [`super::convolution_fused`].
pub(super) fn convolution(
    sizes: &ConvolutionSizes,
    x: &[f32],
    kernel: &[f32],
    y: &mut [f32],
    epilogue: &Epilogue<'_>,
) {
    let (channels, filters) = (sizes.kernel.channels, sizes.kernel.filters);
    if filters != channels {
        reference::convolution(sizes, x, kernel, y);
        for row in y.chunks_exact_mut(filters.max(1)) {
            epilogue.apply_row(row, 0);
        }
        return;
    }
    let depthwise = Depthwise {
        geometry: Geometry::of(sizes),
        channels,
        kernel,
        layout: OutputLayout::dense(sizes.output, channels),
        epilogue: *epilogue,
    };
    depthwise.run(x, y);
}

/// See [`super::input_gradient`]; there is one filter per channel.
pub(super) fn input_gradient(sizes: &ConvolutionSizes, dy: &[f32], kernel: &[f32], dx: &mut [f32]) {
    let channels = sizes.kernel.channels;
    for phase in phases(sizes, dx) {
        let taps = phase.taps.iter();
        let taps: Vec<_> = taps
            .map(|tap| &kernel[tap * channels..][..channels])
            .collect();
        let depthwise = Depthwise {
            geometry: phase.geometry,
            channels,
            kernel: &taps.concat(),
            layout: phase.layout,
            epilogue: Epilogue::default(),
        };
        depthwise.run(dy, dx);
    }
}

impl Depthwise<'_> {
    /// Computes into `y`.
    ///
    /// # Panics
    /// If `x`, `y`, the kernel or the layout contradict the sizes.
    fn run(&self, x: &[f32], y: &mut [f32]) {
        let Geometry {
            samples,
            input,
            output,
            taps,
            ..
        } = self.geometry;
        let (pixels, taps) = (
            input.iter().product::<usize>(),
            taps.iter().product::<usize>(),
        );
        assert_eq!(
            x.len(),
            samples * pixels * self.channels,
            "depthwise: input"
        );
        assert_eq!(self.kernel.len(), taps * self.channels, "depthwise: kernel");
        let [depths, rows, columns] = output;
        let all = samples * depths * rows;
        if all * columns == 0 {
            return;
        }
        self.layout.check(&self.geometry, self.channels, y.len());
        let y = SharedMut::new(y);
        let threads = parallel::threads(COST * all * columns * self.channels * taps);
        let isa = Isa::detect();
        parallel::each(all, (rows / 4).max(1), threads, |row| {
            // SAFETY: each row is computed once, and pixels do not overlap (`check`).
            with_lanes!(isa, |lanes| unsafe { self.row(lanes, x, y, row) });
        });
    }

    /// Computes row `row` of the result, counted over samples and slices.
    ///
    /// # Safety
    /// Nothing else touches it meanwhile.
    #[inline(always)]
    unsafe fn row<L: Lanes>(&self, lanes: L, x: &[f32], y: SharedMut<'_>, row: usize) {
        let (geometry, channels) = (&self.geometry, self.channels);
        let Geometry {
            input,
            output: [depths, rows, columns],
            taps: [_, height, width],
            ..
        } = self.geometry;
        let (slice, row) = (row / rows, row % rows);
        let (sample, depth) = (slice / depths, slice % depths);
        let mut taps = Vec::new();
        let mut list = |valid: Range<usize>| {
            let start = taps.len();
            for d in geometry.valid_taps(0, depth) {
                let slice = sample * input[0] + geometry.input_pixel(0, depth, d);
                for h in geometry.valid_taps(1, row) {
                    let row = (slice * input[1] + geometry.input_pixel(1, row, h)) * input[2];
                    taps.extend(valid.clone().map(|w| Tap {
                        x: (row + w * geometry.dilation[2]) * channels,
                        kernel: ((d * height + h) * width + w) * channels,
                    }));
                }
            }
            start..taps.len()
        };
        // Columns for which all taps along the width are valid.
        let whole = geometry.whole_outputs(2);
        let all = list(0..width);
        // Tiles of a few sizes along the row, the same for all channels.
        let mut tiles = Vec::with_capacity(columns);
        let mut column = 0;
        while column < columns {
            let (pixels, taps) = if whole.contains(&column) {
                (whole.end - column, all.clone())
            } else {
                (1, list(geometry.valid_taps(2, column)))
            };
            let mut sizes = [8, 4, 2].into_iter();
            let pixels = sizes.find(|&size| size <= pixels).unwrap_or(1);
            tiles.push(RowTile {
                pixels,
                taps,
                x: geometry.input_pixel(2, column, 0).wrapping_mul(channels),
                first: self.layout.at(sample, [depth, row, column]),
            });
            column += pixels;
        }
        for channel in (0..self.channels).step_by(L::COUNT) {
            for tile in &tiles {
                let taps = &taps[tile.taps.clone()];
                // SAFETY: the tile lies in the row, its taps are valid.
                unsafe {
                    match tile.pixels {
                        8 => self.tile::<L, 8>(lanes, x, y, tile, taps, channel),
                        4 => self.tile::<L, 4>(lanes, x, y, tile, taps, channel),
                        2 => self.tile::<L, 2>(lanes, x, y, tile, taps, channel),
                        _ => self.tile::<L, 1>(lanes, x, y, tile, taps, channel),
                    }
                }
            }
        }
        if self.epilogue.rectifier().is_none()
            && self.epilogue.activation != EpilogueActivation::None
        {
            let late = Epilogue {
                bias: None,
                ..self.epilogue
            };
            for column in 0..columns {
                let first = self.layout.at(sample, [depth, row, column]);
                // SAFETY: a pixel of the row, which ends within `y` (`check`).
                late.apply_row(unsafe { y.slice(first..first + self.channels) }, 0);
            }
        }
    }

    /// Computes `PIXELS` pixels of a row for the vector of channels from `channel` on.
    ///
    /// # Safety
    /// The taps must be valid for each of the pixels, and nothing else touch these meanwhile.
    #[inline(always)]
    unsafe fn tile<L: Lanes, const PIXELS: usize>(
        &self,
        lanes: L,
        x: &[f32],
        y: SharedMut<'_>,
        tile: &RowTile,
        taps: &[Tap],
        channel: usize,
    ) {
        let count = L::COUNT.min(self.channels - channel);
        let mask = lanes.mask(count);
        let step = self.geometry.strides[2] * self.channels;
        let mut sums = [lanes.splat(0.0); PIXELS];
        for tap in taps {
            let (from, tap) = (tap.x.wrapping_add(tile.x) + channel, tap.kernel + channel);
            debug_assert!(from + (PIXELS - 1) * step + count <= x.len());
            debug_assert!(tap + count <= self.kernel.len());
            // SAFETY: the tap is valid for the last pixel, too: from + (PIXELS − 1) · step + count ≤
            // x.len(); it is one of the window: tap + count ≤ kernel.len().
            unsafe {
                let mut from = x.as_ptr().add(from);
                let tap = self.kernel.as_ptr().add(tap);
                if count == L::COUNT {
                    let tap = lanes.load(tap);
                    for sum in &mut sums {
                        *sum = lanes.multiply_add(lanes.load(from), tap, *sum);
                        from = from.wrapping_add(step);
                    }
                } else {
                    let tap = lanes.load_masked(tap, mask);
                    for sum in &mut sums {
                        *sum = lanes.multiply_add(lanes.load_masked(from, mask), tap, *sum);
                        from = from.wrapping_add(step);
                    }
                }
            }
        }
        if let Some(bias) = self.epilogue.bias {
            let bias = bias[channel..][..count].as_ptr();
            // SAFETY: the mask has `count` lanes.
            let bias = unsafe { lanes.load_masked(bias, mask) };
            for sum in &mut sums {
                *sum = lanes.add(*sum, bias);
            }
        }
        let relu = self.epilogue.rectifier();
        let (to, next) = (y.from(tile.first + channel), self.layout.axes[2]);
        for (pixel, &sum) in sums.iter().enumerate() {
            let sum = match relu {
                None => sum,
                Some(Rectifier::Relu) => lanes.relu(sum),
                Some(Rectifier::Relu6) => lanes.at_most(lanes.relu(sum), lanes.splat(6.0)),
            };
            let first = pixel * next;
            debug_assert!(first + count <= to.len());
            // SAFETY: column + PIXELS ≤ columns, channel + count ≤ channels, which `check` compared to the
            // length of y.
            unsafe { lanes.store_masked(to.as_ptr().wrapping_add(first), sum, mask) };
        }
    }
}

/// Vectors of channels whose sums are kept at once.
const VECTORS: usize = 4;

/// See [`super::weight_gradient`]; there is one filter per channel. Each element is the sum, over rows
/// of the output, of one chain per row.
pub(super) fn weight_gradient(
    sizes: &ConvolutionSizes,
    x: &[f32],
    dy: &[f32],
    dkernel: &mut [f32],
) {
    dkernel.fill(0.0);
    let geometry = Geometry::of(sizes);
    let channels = sizes.kernel.channels;
    let isa = Isa::detect();
    let lanes = with_lanes!(isa, |lanes| count(lanes));
    let threads = parallel::threads(COST * dy.len() * sizes.kernel.window.cells());
    // Whole vectors for each thread, several at once where there are enough.
    let vectors = channels.div_ceil(lanes);
    let at_once = vectors.div_ceil(threads).clamp(1, 4 * VECTORS);
    let result = SharedMut::new(dkernel);
    parallel::each(vectors.div_ceil(at_once), 1, threads, |part| {
        let first = part * at_once * lanes;
        let part = first..channels.min(first + at_once * lanes);
        let gradient = Weights {
            geometry: &geometry,
            channels,
            part,
            result,
        };
        // SAFETY: parts are different channels.
        with_lanes!(isa, |lanes| unsafe { gradient.run(lanes, x, dy) });
    });
}

fn count<L: Lanes>(_: L) -> usize {
    L::COUNT
}

/// The weight gradient for some of the channels.
struct Weights<'a> {
    geometry: &'a Geometry,
    channels: usize,
    part: Range<usize>,
    result: SharedMut<'a>,
}

/// A row of the output and the row of the input that it saw through one row of the window.
struct RowPair<'a> {
    x: &'a [f32],
    dy: &'a [f32],
}

impl Weights<'_> {
    /// # Safety
    /// Nothing else may touch these channels of the result.
    #[inline(always)]
    unsafe fn run<L: Lanes>(&self, lanes: L, x_all: &[f32], dy: &[f32]) {
        let Geometry {
            samples,
            input,
            output,
            taps,
            ..
        } = *self.geometry;
        let ([depths, height, width], geometry) = (output, self.geometry);
        let (x_row, dy_row) = (input[2] * self.channels, width * self.channels);
        let columns: Vec<Range<usize>> =
            (0..taps[2]).map(|w| geometry.valid_outputs(2, w)).collect();
        for row in 0..samples * depths * height {
            let dy = &dy[row * dy_row..][..dy_row];
            let (slice, row) = (row / height, row % height);
            let (sample, depth) = (slice / depths, slice % depths);
            for d in geometry.valid_taps(0, depth) {
                for h in geometry.valid_taps(1, row) {
                    let slice = sample * input[0] + geometry.input_pixel(0, depth, d);
                    let x = (slice * input[1] + geometry.input_pixel(1, row, h)) * x_row;
                    let rows = RowPair {
                        x: &x_all[x..][..x_row],
                        dy,
                    };
                    let tap = (d * taps[1] + h) * taps[2];
                    let mut w = 0;
                    while w < taps[2] {
                        let count = (taps[2] - w).min(3);
                        let ranges = &columns[w..w + count];
                        let start = ranges.iter().map(|r| r.start).max().unwrap_or(0);
                        let end = ranges.iter().map(|r| r.end).min().unwrap_or(0).max(start);
                        // SAFETY: the taps are valid for the columns of each range.
                        unsafe {
                            match count {
                                3 => self.add::<L, 3>(lanes, &rows, tap, w, start..end),
                                2 => self.add::<L, 2>(lanes, &rows, tap, w, start..end),
                                _ => self.add::<L, 1>(lanes, &rows, tap, w, start..end),
                            }
                            for (w, range) in (w..).zip(ranges) {
                                // What is beside the columns that all of these taps share.
                                let (left, right) = match start < end {
                                    true => (range.start..start, end..range.end),
                                    false => (range.clone(), 0..0),
                                };
                                self.add::<L, 1>(lanes, &rows, tap, w, left);
                                self.add::<L, 1>(lanes, &rows, tap, w, right);
                            }
                        }
                        w += count;
                    }
                }
            }
        }
    }

    /// Adds the products over `columns` for `TAPS` taps from `w` on, of the row that begins with `tap`.
    ///
    /// # Safety
    /// As [`run`](Self::run), and the taps must be valid for the columns.
    #[inline(always)]
    unsafe fn add<L: Lanes, const TAPS: usize>(
        &self,
        lanes: L,
        rows: &RowPair<'_>,
        tap: usize,
        w: usize,
        columns: Range<usize>,
    ) {
        if columns.is_empty() {
            return;
        }
        let mut channel = self.part.start;
        while channel < self.part.end {
            let rest = self.part.end - channel;
            let (here, columns) = ((tap, w, channel), columns.clone());
            // SAFETY: the caller's; channel + VECTORS · COUNT ≤ part.end, or one vector of what is there.
            channel += unsafe {
                match rest >= VECTORS * L::COUNT {
                    true => self.sums::<L, TAPS, VECTORS>(lanes, rows, here, columns, L::COUNT),
                    false => {
                        self.sums::<L, TAPS, 1>(lanes, rows, here, columns, rest.min(L::COUNT))
                    }
                }
            };
        }
    }

    /// As [`add`](Self::add), for `VECTORS` vectors of channels from `channel` on, the last of `count` lanes.
    /// Returns how many channels these are.
    ///
    /// # Safety
    /// As [`add`](Self::add), and these channels must be of the part.
    #[inline(always)]
    unsafe fn sums<L: Lanes, const TAPS: usize, const VECTORS: usize>(
        &self,
        lanes: L,
        rows: &RowPair<'_>,
        (tap, w, channel): (usize, usize, usize),
        columns: Range<usize>,
        count: usize,
    ) -> usize {
        let (channels, geometry) = (self.channels, self.geometry);
        let (stride, dilation) = (
            geometry.strides[2] * channels,
            geometry.dilation[2] * channels,
        );
        let width = (VECTORS - 1) * L::COUNT + count;
        let mask = lanes.mask(count);
        let first = geometry.input_pixel(2, columns.start, w) * channels + channel;
        let first_dy = columns.start * channels + channel;
        debug_assert!(
            first + (columns.len() - 1) * stride + (TAPS - 1) * dilation + width <= rows.x.len()
        );
        debug_assert!(first_dy + (columns.len() - 1) * channels + width <= rows.dy.len());
        // SAFETY: `vector` is below VECTORS, so that the vector ends `width` values behind the beginning: of
        // x, for the last column and tap, first + (columns − 1) · stride + (TAPS − 1) · dilation + width ≤
        // x.len(), as the taps are valid; of dy, first_dy + (columns − 1) · channels + width ≤ dy.len().
        let load = |from: *const f32, vector: usize| unsafe {
            let from = from.wrapping_add(vector * L::COUNT);
            match VECTORS {
                1 => lanes.load_masked(from, mask),
                _ => lanes.load(from),
            }
        };
        let mut sums = [[lanes.splat(0.0); VECTORS]; TAPS];
        let mut x = rows.x.as_ptr().wrapping_add(first);
        let mut dy = rows.dy.as_ptr().wrapping_add(first_dy);
        for _ in columns {
            let right: [L::Vector; VECTORS] = std::array::from_fn(|vector| load(dy, vector));
            for (tap, sums) in sums.iter_mut().enumerate() {
                let x = x.wrapping_add(tap * dilation);
                for (vector, sum) in sums.iter_mut().enumerate() {
                    *sum = lanes.multiply_add(load(x, vector), right[vector], *sum);
                }
            }
            x = x.wrapping_add(stride);
            dy = dy.wrapping_add(channels);
        }
        for (number, sums) in sums.iter().enumerate() {
            let first = (tap + w + number) * channels + channel;
            debug_assert!(first + width <= self.result.len());
            let to = self.result.as_ptr().wrapping_add(first);
            for (vector, &sum) in sums.iter().enumerate() {
                let to = to.wrapping_add(vector * L::COUNT);
                // SAFETY: as for reading: first + width ≤ the length of the kernel, and these channels are
                // the caller's.
                unsafe {
                    if VECTORS == 1 {
                        let sum = lanes.add(lanes.load_masked(to, mask), sum);
                        lanes.store_masked(to, sum, mask);
                    } else {
                        lanes.store(to, lanes.add(lanes.load(to), sum));
                    }
                }
            }
        }
        width
    }
}
