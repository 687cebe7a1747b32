//! The loops around the tile kernels: tasks of regions and panels for the threads, and what ends the sums.

use super::gather::{Input, Region, Seen};
use super::tile::{COLUMNS, Kernels, Sums, Tile};
use super::weights::Ending;
use super::{Quantization, Values};
use crate::kernels::convolution::geometry::Geometry;
use crate::kernels::isa::Isa;
use crate::kernels::math;
use crate::kernels::matmul::scratch::{Scratch, Use};
use crate::kernels::matmul::tile::tile_rows;
use crate::kernels::matmul::{Epilogue, EpilogueActivation};
use crate::kernels::parallel::{self, SharedMut};

/// Words of the input that a task works on, so that they stay in the second-level cache.
const INPUT: usize = 24 * 1024;

/// A sum as a float.
pub(super) trait Sum: Copy + Default + Send + Sync {
    fn number(self) -> f32;
}

impl Sum for i32 {
    #[inline(always)]
    fn number(self) -> f32 {
        self as f32
    }
}

impl Sum for f32 {
    #[inline(always)]
    fn number(self) -> f32 {
        self
    }
}

/// Where results go; several threads write different pixels or filters.
#[derive(Clone, Copy)]
pub(super) enum Shared<'a> {
    F32(SharedMut<'a, f32>),
    /// With how many bytes a pixel has.
    Bytes(SharedMut<'a, u8>, Quantization, usize),
}

/// What is done to sums before they are results.
#[derive(Clone, Copy)]
pub(super) struct Finish<'a> {
    pub filters: usize,
    pub ending: &'a Ending,
    pub residual: Option<Values<'a>>,
    pub activation: EpilogueActivation,
    pub y: Shared<'a>,
}

impl Finish<'_> {
    /// Ends the sums of a pixel's filters from `first` on, as many as there are up to [`COLUMNS`].
    ///
    /// # Safety
    /// The pixel is one of the result, and nothing else touches these filters of it meanwhile.
    #[inline(always)]
    pub unsafe fn row<S: Sum>(&self, sums: &[S; COLUMNS], pixel: usize, first: usize) {
        let count = COLUMNS.min(self.filters - first);
        // A number that the compiler knows, where it is the usual one.
        match count {
            // SAFETY: the caller's.
            COLUMNS => unsafe { self.columns(sums, pixel, first, COLUMNS) },
            // SAFETY: the caller's.
            _ => unsafe { self.columns(sums, pixel, first, count) },
        }
    }

    /// # Safety
    /// As [`row`](Self::row); `first + count ≤ filters`, `count ≤ COLUMNS`.
    #[inline(always)]
    unsafe fn columns<S: Sum>(
        &self,
        sums: &[S; COLUMNS],
        pixel: usize,
        first: usize,
        count: usize,
    ) {
        let scale = &self.ending.scale[first..][..COLUMNS];
        let offset = &self.ending.offset[first..][..COLUMNS];
        let mut y = [0.0_f32; COLUMNS];
        let ends = scale.iter().zip(offset);
        for ((y, sum), (&scale, &offset)) in y.iter_mut().zip(sums).zip(ends) {
            *y = sum.number() * scale + offset;
        }
        match self.residual {
            None => {}
            Some(Values::F32(residual)) => {
                let residual = &residual[pixel * self.filters + first..][..count];
                for (y, residual) in y[..count].iter_mut().zip(residual) {
                    *y += residual;
                }
            }
            Some(Values::Bytes(residual, quantization)) => {
                let residual: &[u8] = bytemuck::cast_slice(residual);
                let at = pixel * 4 * super::words_of_bytes(self.filters) + first;
                for (y, &residual) in y[..count].iter_mut().zip(&residual[at..][..count]) {
                    *y += quantization.value(residual);
                }
            }
        }
        match self.activation {
            EpilogueActivation::None => {}
            EpilogueActivation::Relu => y.iter_mut().for_each(|y| *y = math::relu(*y)),
            EpilogueActivation::Relu6 => y.iter_mut().for_each(|y| *y = math::relu6(*y)),
            activation => Epilogue {
                bias: None,
                activation,
            }
            .apply_row(&mut y[..count], 0),
        }
        match self.y {
            Shared::F32(to) => {
                let at = pixel * self.filters + first;
                // SAFETY: first + count ≤ filters, of a pixel of the result.
                unsafe { to.slice(at..at + count) }.copy_from_slice(&y[..count]);
            }
            Shared::Bytes(to, quantization, bytes) => {
                let at = pixel * bytes + first;
                // SAFETY: likewise; filters ≤ bytes.
                let to = unsafe { to.slice(at..at + count) };
                for (to, &y) in to.iter_mut().zip(&y) {
                    *to = quantization.byte(y);
                }
            }
        }
    }
}

/// Everything about a product but for its kernels.
#[derive(Clone, Copy)]
pub(super) struct Product<'a> {
    pub input: Input<'a>,
    pub finish: Finish<'a>,
}

impl Product<'_> {
    /// Output pixels in regions, each of which is a task; `least` pixels are a tile.
    pub fn regions(&self, threads: usize, least: usize) -> Vec<Region> {
        let Geometry {
            samples,
            output: [_, rows, columns],
            strides,
            ..
        } = self.input.geometry;
        let per_pixel = self.input.pixel() * strides[1] * strides[2];
        let mut pixels = (INPUT / per_pixel.max(1)).clamp(2 * least, 2048);
        if threads > 1 {
            // Enough tasks that all threads end at about the same time.
            let all = samples * rows * columns;
            pixels = pixels.min(all.div_ceil(4 * threads)).max(least);
        }
        let columns_at_once = match columns <= pixels {
            true => columns,
            false => pixels / least * least,
        };
        let rows_at_once = (pixels / columns_at_once).clamp(1, rows);
        let mut regions = Vec::new();
        for slice in 0..samples {
            for row in (0..rows).step_by(rows_at_once) {
                for column in (0..columns).step_by(columns_at_once) {
                    regions.push(Region {
                        slice,
                        rows: row..rows.min(row + rows_at_once),
                        columns: column..columns.min(column + columns_at_once),
                    });
                }
            }
        }
        regions
    }

    /// How far from a patch's beginning its runs begin, and how long these are: the taps of a row, or one tap where
    /// these are apart.
    fn runs(&self, seen: &Seen<'_>) -> (Vec<usize>, usize) {
        let Geometry { taps, dilation, .. } = self.input.geometry;
        let (in_row, run_len) = match dilation[2] {
            1 => (1, taps[2] * seen.pixel),
            _ => (taps[2], seen.pixel),
        };
        let rows = (0..taps[1]).map(|row| row * dilation[1] * seen.row);
        let runs =
            rows.flat_map(|row| (0..in_row).map(move |tap| row + tap * dilation[2] * seen.pixel));
        (runs.collect(), run_len)
    }

    /// The number of the output pixel at the beginning of a region's row `row`.
    pub fn pixel(&self, region: &Region, row: usize) -> usize {
        let [_, rows, columns] = self.input.geometry.output;
        (region.slice * rows + region.rows.start + row) * columns + region.columns.start
    }

    /// Computes the product, of packed weights.
    pub fn run<S: Sum>(&self, isa: Isa, kernels: &'static Kernels<S>, panels: &[u32]) {
        let Geometry {
            samples,
            output,
            taps,
            ..
        } = self.input.geometry;
        let filters = self.finish.filters;
        let outputs = samples * output.iter().product::<usize>();
        let depth = taps.iter().product::<usize>() * self.input.pixel();
        // A word is as much work as a float.
        let threads = parallel::threads(outputs.saturating_mul(depth).saturating_mul(filters));
        let regions = self.regions(threads, kernels.rows());
        // Filters are divided too where there are too few pixels for all threads.
        let count = filters.div_ceil(COLUMNS);
        let parts = match threads {
            1 => 1,
            threads => (2 * threads).div_ceil(regions.len()).min(count),
        };
        let together = count.div_ceil(parts);
        let parts = count.div_ceil(together);
        parallel::each(regions.len() * parts, 1, threads, |number| {
            let (region, part) = (&regions[number / parts], number % parts);
            let panels_of = part * together..count.min((part + 1) * together);
            // SAFETY: tasks have different pixels, parts of a task different filters.
            isa.run(
                #[inline(always)]
                || unsafe { self.task(kernels, panels, depth, region, panels_of) },
            );
        });
    }

    /// Computes these panels of filters for the pixels of a region.
    ///
    /// # Safety
    /// Nothing else touches them meanwhile.
    #[inline(always)]
    unsafe fn task<S: Sum>(
        &self,
        kernels: &Kernels<S>,
        panels: &[u32],
        depth: usize,
        region: &Region,
        panels_of: std::ops::Range<usize>,
    ) {
        let mut scratch = Scratch::take(Use::Left);
        let seen = match self.input.in_place(region) {
            Some(seen) => seen,
            None => {
                let to = scratch.room(self.input.copy_len(region));
                self.input.copy(region, bytemuck::cast_slice_mut(to))
            }
        };
        let (runs, run_len) = self.runs(&seen);
        let strides = self.input.geometry.strides;
        let columns = region.columns.len();
        let tiles = columns.div_ceil(kernels.rows());
        let mut sums: Sums<S> = [[S::default(); COLUMNS]; super::tile::ROWS];
        for panel in panels_of {
            let b = &panels[panel * depth * COLUMNS..][..depth * COLUMNS];
            let first = panel * COLUMNS;
            let filters = COLUMNS.min(self.finish.filters - first);
            for row in 0..region.rows.len() {
                let pixel = self.pixel(region, row);
                for tile in 0..tiles {
                    let (column, height) = tile_rows(columns, tiles, tile);
                    let a = row * strides[1] * seen.row + column * strides[2] * seen.pixel;
                    let tile = Tile {
                        a: &seen.words[a..],
                        a_row: strides[2] * seen.pixel,
                        runs: &runs,
                        run_len,
                        b,
                    };
                    kernels.sum(height, filters, &tile, &mut sums);
                    for (at, sums) in sums.iter().take(height).enumerate() {
                        // SAFETY: the caller's; column + height ≤ columns.
                        unsafe { self.finish.row(sums, pixel + column + at, first) };
                    }
                }
            }
        }
    }
}
