//! The transforms of Winograd's convolution: of a kernel, of the pixels that a tile sees, and of a tile's sums.

use std::ops::Range;

use super::super::ConvolutionSizes;
use crate::kernels::matmul::lanes::Lanes;
use crate::kernels::matmul::tile::Rectifier;
use crate::kernels::matmul::{Epilogue, EpilogueActivation};
use crate::kernels::parallel::SharedMut;

/// Values of a tile between the transforms: 4 × 4.
pub(super) const PLACES: usize = 16;

/// `G g Gᵀ` of a kernel `[3, 3, pairs]` for each pair of a channel and a filter: for each place the values of all pairs.
pub(super) fn transformed_kernel(kernel: &[f32], pairs: usize) -> Vec<Vec<f32>> {
    let of_three = |g: [f64; 3]| {
        let (sum, middle) = (g[0] + g[2], g[1]);
        [g[0], 0.5 * (sum + middle), 0.5 * (sum - middle), g[2]]
    };
    let mut places = vec![vec![0.0; pairs]; PLACES];
    for pair in 0..pairs {
        let tap = |row: usize, column: usize| f64::from(kernel[(3 * row + column) * pairs + pair]);
        let columns: [[f64; 4]; 3] =
            std::array::from_fn(|column| of_three([0, 1, 2].map(|row| tap(row, column))));
        for row in 0..4 {
            let values = of_three([0, 1, 2].map(|column| columns[column][row]));
            for (column, value) in values.into_iter().enumerate() {
                places[4 * row + column][pair] = value as f32;
            }
        }
    }
    places
}

/// `Bᵀ d` of four vectors.
#[inline(always)]
fn of_seen<L: Lanes>(lanes: L, d: [L::Vector; 4]) -> [L::Vector; 4] {
    [
        lanes.subtract(d[0], d[2]),
        lanes.add(d[1], d[2]),
        lanes.subtract(d[2], d[1]),
        lanes.subtract(d[1], d[3]),
    ]
}

/// `Aᵀ m` of four vectors.
#[inline(always)]
fn of_sums<L: Lanes>(lanes: L, m: [L::Vector; 4]) -> [L::Vector; 2] {
    [
        lanes.add(lanes.add(m[0], m[1]), m[2]),
        lanes.subtract(lanes.subtract(m[1], m[2]), m[3]),
    ]
}

/// A square with its rows as columns.
#[inline(always)]
fn turned<V: Copy>([a, b, c, d]: &[[V; 4]; 4]) -> [[V; 4]; 4] {
    [
        [a[0], b[0], c[0], d[0]],
        [a[1], b[1], c[1], d[1]],
        [a[2], b[2], c[2], d[2]],
        [a[3], b[3], c[3], d[3]],
    ]
}

/// What tiles are read from and written to.
pub(super) struct Pixels<'a> {
    pub sizes: &'a ConvolutionSizes,
    /// Tiles in a column and in a row of a slice.
    pub grid: [usize; 2],
    pub x: &'a [f32],
    pub y: SharedMut<'a>,
    pub epilogue: &'a Epilogue<'a>,
    pub residual: Option<&'a [f32]>,
}

impl Pixels<'_> {
    /// The slice, the row and the column of a tile's first output pixel.
    fn place(&self, tile: usize) -> [usize; 3] {
        let [down, right] = self.grid;
        [
            tile / (down * right),
            2 * (tile / right % down),
            2 * (tile % right),
        ]
    }

    /// Writes `Bᵀ d B` of what a tile sees: the channels' values of each place next to each other, places `apart`.
    /// Outside of the input the tile sees `zeros`, one for each channel.
    ///
    /// # Panics
    /// If there is no room.
    #[inline(always)]
    pub fn read<L: Lanes>(
        &self,
        lanes: L,
        tile: usize,
        zeros: &[f32],
        to: &mut [f32],
        apart: usize,
    ) {
        let channels = self.sizes.kernel.channels;
        let [_, height, width] = self.sizes.input;
        let [_, (above, _), (left, _)] = self.sizes.kernel.window.padding;
        let [slice, row, column] = self.place(tile);
        let mut seen = [[&zeros[..channels]; 4]; 4];
        for (i, seen) in seen.iter_mut().enumerate() {
            let row = (row + i).checked_sub(above);
            let Some(row) = row.filter(|&row| row < height) else {
                continue;
            };
            for (j, seen) in seen.iter_mut().enumerate() {
                let column = (column + j).checked_sub(left);
                if let Some(column) = column.filter(|&column| column < width) {
                    let pixel = (slice * height + row) * width + column;
                    *seen = &self.x[pixel * channels..][..channels];
                }
            }
        }
        assert!(
            (PLACES - 1) * apart + channels <= to.len(),
            "winograd: room"
        );
        // Loops, not `map`: what the standard library does not inline is not compiled for these instructions.
        for first in (0..channels).step_by(L::COUNT) {
            let count = L::COUNT.min(channels - first);
            let mask = lanes.mask(count);
            let mut values = [[lanes.splat(0.0); 4]; 4];
            for (values, seen) in values.iter_mut().zip(&seen) {
                for (value, pixel) in values.iter_mut().zip(seen) {
                    let from = pixel.as_ptr().wrapping_add(first);
                    // SAFETY: a pixel has `channels` values, first + count ≤ channels, and `count` lanes are a whole
                    // vector or those of `mask`.
                    *value = unsafe {
                        match count == L::COUNT {
                            true => lanes.load(from),
                            false => lanes.load_masked(from, mask),
                        }
                    };
                }
            }
            let mut columns = turned(&values);
            for column in &mut columns {
                *column = of_seen(lanes, *column);
            }
            for (i, &row) in turned(&columns).iter().enumerate() {
                let row = of_seen(lanes, row);
                for (j, &value) in row.iter().enumerate() {
                    let to = to.as_mut_ptr().wrapping_add((4 * i + j) * apart + first);
                    // SAFETY: (PLACES − 1) · apart + channels ≤ to.len(), first + count ≤ channels.
                    unsafe {
                        match count == L::COUNT {
                            true => lanes.store(to, value),
                            false => lanes.store_masked(to, value, mask),
                        }
                    }
                }
            }
        }
    }

    /// Writes some filters of a tile's pixels: `Aᵀ m A` of its sums, of which those of a place lie next to each other
    /// and the places `apart`, with bias, residual and activation.
    ///
    /// # Safety
    /// Nothing else touches these filters of these pixels meanwhile.
    #[inline(always)]
    pub unsafe fn write<L: Lanes>(
        &self,
        lanes: L,
        tile: usize,
        filters: Range<usize>,
        sums: &[f32],
        apart: usize,
    ) {
        let all = self.sizes.kernel.filters;
        let [_, height, width] = self.sizes.output;
        let [slice, row, column] = self.place(tile);
        let (down, right) = (2.min(height - row), 2.min(width - column));
        let first_pixel = (slice * height + row) * width + column;
        let at = |i: usize, j: usize| (first_pixel + i * width + j) * all + filters.start;
        assert!(
            (PLACES - 1) * apart + filters.len() <= sums.len()
                && at(down - 1, right - 1) + filters.len() <= self.y.len()
                && self.residual.is_none_or(|it| it.len() == self.y.len())
                && self.epilogue.bias.is_none_or(|it| it.len() == all),
            "winograd: length of the result"
        );
        let rectifier = self.epilogue.rectifier();
        for first in (0..filters.len()).step_by(L::COUNT) {
            let count = L::COUNT.min(filters.len() - first);
            let mask = lanes.mask(count);
            let load = |from: *const f32| {
                // SAFETY: from each place that is read here, `first + count ≤ filters.len()` values on are within what
                // has been asserted.
                unsafe {
                    match count == L::COUNT {
                        true => lanes.load(from),
                        false => lanes.load_masked(from, mask),
                    }
                }
            };
            // The columns of the square, each transformed, then the rows of what comes of it.
            let mut columns = [[lanes.splat(0.0); 2]; 4];
            for (j, column) in columns.iter_mut().enumerate() {
                let mut square = [lanes.splat(0.0); 4];
                for (i, sum) in square.iter_mut().enumerate() {
                    *sum = load(sums.as_ptr().wrapping_add((4 * i + j) * apart + first));
                }
                *column = of_sums(lanes, square);
            }
            let [a, b, c, d] = columns;
            let rows = [[a[0], b[0], c[0], d[0]], [a[1], b[1], c[1], d[1]]];
            let bias = match self.epilogue.bias {
                Some(bias) => load(bias[filters.start..].as_ptr().wrapping_add(first)),
                None => lanes.splat(0.0),
            };
            let has_bias = self.epilogue.bias.is_some();
            for (i, &row) in rows.iter().enumerate().take(down) {
                let values = of_sums(lanes, row);
                for (j, &value) in values.iter().enumerate().take(right) {
                    let mut value = value;
                    if has_bias {
                        value = lanes.add(value, bias);
                    }
                    let at = at(i, j) + first;
                    if let Some(residual) = self.residual {
                        value = lanes.add(value, load(residual.as_ptr().wrapping_add(at)));
                    }
                    if rectifier.is_some() {
                        value = lanes.relu(value);
                    }
                    if rectifier == Some(Rectifier::Relu6) {
                        value = lanes.at_most(value, lanes.splat(6.0));
                    }
                    let to = self.y.from(at).as_ptr();
                    // SAFETY: as for reading; nothing else touches these filters of this pixel: the caller's.
                    unsafe {
                        match count == L::COUNT {
                            true => lanes.store(to, value),
                            false => lanes.store_masked(to, value, mask),
                        }
                    }
                }
            }
        }
        let activation = self.epilogue.activation;
        if rectifier.is_none() && activation != EpilogueActivation::None {
            let late = Epilogue {
                bias: None,
                activation,
            };
            for (i, j) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                if i < down && j < right {
                    let from = at(i, j);
                    // SAFETY: `at + filters.len() ≤ y.len()`, as asserted of the last pixel; nothing else touches
                    // them: the caller's.
                    late.apply_row(unsafe { self.y.slice(from..from + filters.len()) }, 0);
                }
            }
        }
    }
}
