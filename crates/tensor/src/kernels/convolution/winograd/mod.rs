//! Convolutions with a 3×3 window that moves by 1, by Winograd's minimal filtering F(2×2, 3×3): 16 multiplications for
//! four output pixels and a pair of channel and filter, where the sum itself has 36.
//!
//! # One tile
//!
//! A *tile* here is 2×2 pixels of the output; it sees 4×4 pixels of the input. With the kernel `g` of a filter and a
//! channel, and the pixels `d` that the tile sees,
//!
//! ```text
//!  y = Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A        ⊙: element by element, summed over the channels
//!
//!       1  0 −1  0            1  0  0            1  1  1  0
//!  Bᵀ = 0  1  1  0        G = ½  ½  ½       Aᵀ = 0  1 −1 −1
//!       0 −1  1  0            ½ −½  ½
//!       0  1  0 −1            0  0  1
//! ```
//!
//! For each of the 16 places of `⊙` the sum over channels is a matrix product, tiles × channels by channels × filters,
//! of which the right operand is constant: it is made and packed once ([`WinogradKernel`]).
//!
//! **The sum.** A product's elements are chains as everywhere here, and both transforms add in one order; neither
//! depends on how tiles are divided among tasks and threads. So a sample has the same bits in any batch, and the bytes
//! are the same on every machine with fused multiply-add. They are not those of the convolution itself: it rounds
//! elsewhere, about as often (see the tests for by how much).

#[cfg(test)]
mod tests;
mod transforms;

use std::ops::Range;

use super::{ConvolutionSizes, KernelShape};
use crate::kernels::isa::Isa;
use crate::kernels::matmul::lanes::{Lanes, with_lanes};
use crate::kernels::matmul::scratch::{Scratch, Use};
use crate::kernels::matmul::tile::Kernels;
use crate::kernels::matmul::{Epilogue, Matrix, PackedMatrix, matmul_panels};
use crate::kernels::parallel::{self, SharedMut};
use transforms::{PLACES, Pixels, transformed_kernel};

/// Values that a task has of its input, transformed, and of its sums: they stay in the second-level cache.
const VALUES: usize = 160 * 1024;

/// Filters that a task sums at a time.
const FILTERS: usize = 64;

/// Values between the places' values, so that these do not drive each other out of the first-level cache.
const APART: usize = 16;

/// A kernel transformed and packed once, for one that stays: that of a frozen layer.
///
/// The order depends on the machine, so it is kept in memory only.
#[derive(Clone, Debug)]
pub struct WinogradKernel {
    shape: KernelShape,
    /// For each place a matrix, channels × filters.
    places: Vec<PackedMatrix>,
}

impl WinogradKernel {
    /// Whether there is a kernel for this shape: one group, a window of 3×3 taps next to each other that moves by 1.
    pub fn supports(shape: &KernelShape) -> bool {
        let window = shape.window;
        shape.groups == 1
            && window.size == [1, 3, 3]
            && window.strides == [1; 3]
            && window.dilation == [1; 3]
            && window.padding[0] == (0, 0)
    }

    /// Transforms `kernel`, which has this shape, in double precision, rounds once, and packs.
    ///
    /// # Panics
    /// If the shape is not [supported](Self::supports), or the kernel's length contradicts it.
    pub fn new(shape: &KernelShape, kernel: &[f32]) -> Self {
        assert!(Self::supports(shape), "winograd: shape of the kernel");
        assert_eq!(kernel.len(), shape.len(), "winograd: length of the kernel");
        let (rows, columns) = (shape.channels, shape.filters);
        let pack = |place: &Vec<f32>| PackedMatrix::new(Matrix::new(place, rows, columns));
        WinogradKernel {
            shape: *shape,
            places: transformed_kernel(kernel, rows * columns)
                .iter()
                .map(pack)
                .collect(),
        }
    }

    /// The shape of the kernel that it was made of.
    pub fn shape(&self) -> &KernelShape {
        &self.shape
    }

    /// The elements as they are packed, which is another order on other machines.
    pub fn arrays(&self) -> impl Iterator<Item = &[f32]> {
        self.places.iter().map(PackedMatrix::panels)
    }

    /// The number of elements in memory.
    pub fn elements(&self) -> usize {
        self.places.iter().map(PackedMatrix::elements).sum()
    }

    /// Multiplications and additions of a convolution of these sizes.
    pub fn operations(sizes: &ConvolutionSizes) -> u64 {
        let KernelShape {
            channels, filters, ..
        } = sizes.kernel;
        let [slices, rows, columns] = sizes.output;
        let tiles = sizes.samples * slices * rows.div_ceil(2) * columns.div_ceil(2);
        // Of each tile 32 additions in a channel, 16 multiply-adds in a pair, 24 additions in a filter.
        (tiles * (32 * channels + 32 * channels * filters + 24 * filters)) as u64
    }
}

/// `y = activation(convolution + bias + residual)`, where `residual` has the shape of `y`; not the bits of
/// [`convolution_fused`](super::convolution_fused), but near.
///
/// # Panics
/// If sizes and slices contradict each other, or the kernel was made in another shape.
pub fn winograd(
    sizes: &ConvolutionSizes,
    x: &[f32],
    kernel: &WinogradKernel,
    y: &mut [f32],
    epilogue: &Epilogue<'_>,
    residual: Option<&[f32]>,
) {
    sizes.check_fused(x, y, epilogue, residual);
    assert_eq!(sizes.kernel, kernel.shape, "winograd: shape of the kernel");
    let isa = Isa::detect();
    let KernelShape {
        channels, filters, ..
    } = sizes.kernel;
    let [_, rows, columns] = sizes.output;
    let grid = [rows.div_ceil(2), columns.div_ceil(2)];
    let all = sizes.samples * sizes.output[0] * grid[0] * grid[1];
    if all == 0 || filters == 0 {
        return;
    }
    let kernels = Kernels::of(isa);
    let threads = parallel::threads(all.saturating_mul(PLACES * channels * filters));
    let (tiles, tasks) = tiles_together(all, channels, threads);
    // Filters are divided too where there are too few tiles for all threads.
    let width = FILTERS.next_multiple_of(kernels.panel());
    let blocks = filters.div_ceil(width);
    let parts = match threads {
        1 => 1,
        threads => (2 * threads).div_ceil(tasks).min(blocks),
    };
    let together = blocks.div_ceil(parts) * width;
    let parts = filters.div_ceil(together);
    let pixels = Pixels {
        sizes,
        grid,
        x,
        y: SharedMut::new(y),
        epilogue,
        residual,
    };
    parallel::each(tasks * parts, 1, threads, |number| {
        let (task, part) = (number / parts, number % parts);
        let tiles = task * tiles..all.min((task + 1) * tiles);
        let filters = part * together..filters.min((part + 1) * together);
        // SAFETY: tasks have different tiles, which do not overlap, parts of a task different filters.
        with_lanes!(isa, |lanes| unsafe {
            task_of(lanes, kernels, &pixels, kernel, tiles, filters, width)
        });
    });
}

/// How many tiles a task takes, about equally many each, and how many tasks there are.
fn tiles_together(all: usize, channels: usize, threads: usize) -> (usize, usize) {
    // Fewer would read the kernel too often.
    const LEAST: usize = 16;
    let mut tiles = (VALUES / PLACES / (channels + FILTERS)).max(LEAST);
    if threads > 1 {
        // Enough tasks that all threads end at about the same time.
        tiles = tiles.min(all.div_ceil(2 * threads)).max(LEAST);
    }
    let tiles = all.div_ceil(all.div_ceil(tiles));
    (tiles, all.div_ceil(tiles))
}

/// Computes these filters, which begin at a whole panel, of these tiles; `width` filters at a time.
///
/// # Safety
/// Nothing else touches them meanwhile.
#[inline(always)]
unsafe fn task_of<L: Lanes>(
    lanes: L,
    kernels: &Kernels,
    pixels: &Pixels<'_>,
    kernel: &WinogradKernel,
    tiles: Range<usize>,
    filters: Range<usize>,
    width: usize,
) {
    let channels = kernel.shape.channels;
    // Rows whose distance is a multiple of what a way of the first-level cache holds would drive each other out of it.
    let row = channels
        + if channels.is_multiple_of(256) {
            APART
        } else {
            0
        };
    let (seen_apart, sums_apart) = (tiles.len() * row + APART, tiles.len() * width + APART);
    let (mut seen, mut sums) = (Scratch::take(Use::Right), Scratch::take(Use::Sums));
    let seen = seen.room(channels + PLACES * seen_apart);
    let sums = sums.room(PLACES * sums_apart);
    let (zeros, seen) = seen.split_at_mut(channels);
    zeros.fill(0.0);
    for (number, tile) in tiles.clone().enumerate() {
        pixels.read(lanes, tile, zeros, &mut seen[number * row..], seen_apart);
    }
    for first in filters.clone().step_by(width) {
        let here = first..filters.end.min(first + width);
        for (place, matrix) in kernel.places.iter().enumerate() {
            let seen = Matrix {
                data: &seen[place * seen_apart..][..seen_apart],
                rows: tiles.len(),
                columns: channels,
                row_stride: row,
                column_stride: 1,
            };
            let sums = &mut sums[place * sums_apart..][..sums_apart];
            matmul_panels(kernels, seen, matrix, here.clone(), sums, width);
        }
        for (number, tile) in tiles.clone().enumerate() {
            let sums = &sums[number * width..];
            // SAFETY: the caller's.
            unsafe { pixels.write(lanes, tile, here.clone(), sums, sums_apart) };
        }
    }
}
