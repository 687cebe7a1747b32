//! Depthwise convolutions of bytes: each channel has a kernel of its own, vectors run over channels.

use super::gather::{Region, Seen};
use super::product::Product;
use super::tile::{COLUMNS, ROWS, Sums};
use super::weights::{TOGETHER, place};
use crate::kernels::convolution::geometry::Geometry;
use crate::kernels::isa::Isa;
use crate::kernels::matmul::scratch::{Scratch, Use};
use crate::kernels::parallel;

/// How many multiply-adds of a product one of these takes.
const COST: usize = 4;

/// What is read for [`COLUMNS`] channels of a few pixels of a row.
pub(super) struct Block<'a> {
    /// From the first pixel's first tap on.
    pub x: &'a [u8],
    /// How far the next pixel is.
    pub step: usize,
    pub pixels: usize,
    /// How far from a pixel's first tap each one is, in increasing order.
    pub taps: &'a [usize],
    /// For each four taps, the last filled up with zeros, [`COLUMNS`] words of one byte each.
    pub weights: &'a [u32],
}

impl Block<'_> {
    /// Whether slices are as long as a [`Kernel`] reads.
    fn is_within(&self) -> bool {
        let last = self.taps.last().copied().unwrap_or(0);
        (1..=ROWS).contains(&self.pixels)
            && self.taps.is_sorted()
            && last + (self.pixels - 1) * self.step + COLUMNS <= self.x.len()
            && self.weights.len() == self.taps.len().div_ceil(TOGETHER) * COLUMNS
    }
}

/// Adds up a block.
///
/// # Safety
/// The machine must have the instructions, and the block be [within](Block::is_within) its slices.
type Kernel = unsafe fn(&Block<'_>, &mut Sums<i32>);

/// # Safety
/// None: it is one of the kernels, and compares with the lengths of slices itself.
unsafe fn plain(block: &Block<'_>, sums: &mut Sums<i32>) {
    for (pixel, sums) in sums.iter_mut().take(block.pixels).enumerate() {
        *sums = [0; COLUMNS];
        for (tap, &at) in block.taps.iter().enumerate() {
            let x = &block.x[pixel * block.step + at..][..COLUMNS];
            let words = &block.weights[tap / TOGETHER * COLUMNS..][..COLUMNS];
            for (channel, (sum, &x)) in sums.iter_mut().zip(x).enumerate() {
                let weight = (words[place(channel)] >> (8 * (tap % TOGETHER))) as i8;
                *sum += i32::from(x) * i32::from(weight);
            }
        }
    }
}

/// The kernels that this machine has, the best first.
pub(super) fn kernels(isa: Isa) -> Vec<Kernel> {
    let mut kernels: Vec<Kernel> = Vec::new();
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    match isa {
        Isa::Avx512(_) if is_x86_feature_detected!("avx512vnni") => kernels.push(x86::avx512_vnni),
        Isa::Avx512(_) | Isa::Avx2(_) if is_x86_feature_detected!("avxvnni") => {
            kernels.push(x86::avx_vnni);
        }
        _ => {}
    }
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    if isa.has_avx2() {
        kernels.push(x86::avx2);
    }
    let _ = isa;
    kernels.push(plain);
    kernels
}

/// The sums of a block.
///
/// # Panics
/// If a slice of it is too short.
pub(super) fn sum(kernel: Kernel, block: &Block<'_>, sums: &mut Sums<i32>) {
    assert!(block.is_within(), "low precision: depthwise");
    // SAFETY: what a kernel asks for was just seen; `kernels` gives those of instructions that the machine has.
    unsafe { kernel(block, sums) }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    //! What x86-64 has instructions for.

    use std::arch::x86_64::*;

    use super::{Block, COLUMNS, Sums, TOGETHER};

    /// `add` adds the products of four unsigned by four signed bytes to each sum.
    macro_rules! kernel {
        ($name:ident, $features:literal, $add:expr) => {
            /// # Safety
            /// As [`Kernel`](super::Kernel).
            #[target_feature(enable = $features)]
            pub unsafe fn $name(block: &Block<'_>, sums: &mut Sums<i32>) {
                for (pixel, to) in sums.iter_mut().take(block.pixels).enumerate() {
                    let x = block.x.as_ptr().wrapping_add(pixel * block.step);
                    let mut acc = [_mm256_setzero_si256(); 4];
                    let mut weights = block.weights.as_ptr();
                    for taps in block.taps.chunks(TOGETHER) {
                        let tap = |index: usize| match taps.get(index) {
                            // SAFETY: pixel ≤ pixels − 1, so that tap + pixel · step + COLUMNS ≤ x.len().
                            Some(&tap) => unsafe { _mm256_loadu_si256(x.wrapping_add(tap).cast()) },
                            None => _mm256_setzero_si256(),
                        };
                        let (a, b, c, d) = (tap(0), tap(1), tap(2), tap(3));
                        let (low, high) = (_mm256_unpacklo_epi8(a, b), _mm256_unpackhi_epi8(a, b));
                        let (low_2, high_2) =
                            (_mm256_unpacklo_epi8(c, d), _mm256_unpackhi_epi8(c, d));
                        let channels = [
                            _mm256_unpacklo_epi16(low, low_2),
                            _mm256_unpackhi_epi16(low, low_2),
                            _mm256_unpacklo_epi16(high, high_2),
                            _mm256_unpackhi_epi16(high, high_2),
                        ];
                        for (vector, acc) in acc.iter_mut().enumerate() {
                            // SAFETY: there are COLUMNS words for each four taps, of which these are eight.
                            let weights = unsafe {
                                _mm256_loadu_si256(weights.wrapping_add(8 * vector).cast())
                            };
                            *acc = $add(*acc, channels[vector], weights);
                        }
                        weights = weights.wrapping_add(COLUMNS);
                    }
                    let [a, b, c, d] = acc;
                    let ordered = [
                        _mm256_permute2x128_si256::<0x20>(a, b),
                        _mm256_permute2x128_si256::<0x20>(c, d),
                        _mm256_permute2x128_si256::<0x31>(a, b),
                        _mm256_permute2x128_si256::<0x31>(c, d),
                    ];
                    for (to, sums) in to.chunks_exact_mut(8).zip(ordered) {
                        // SAFETY: eight sums.
                        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), sums) };
                    }
                }
            }
        };
    }

    kernel!(avx512_vnni, "avx2,avx512vl,avx512vnni", |sum, x, w| {
        _mm256_dpbusd_epi32(sum, x, w)
    });
    kernel!(avx_vnni, "avx2,avxvnni", |sum, x, w| {
        _mm256_dpbusd_avx_epi32(sum, x, w)
    });
    kernel!(avx2, "avx2", |sum, x, w| super::super::tile::x86::exact(
        sum, x, w
    ));
}

/// Computes the product, of packed weights.
pub(super) fn run(product: &Product<'_>, isa: Isa, weights: &[u32]) {
    let Geometry {
        samples,
        output,
        taps,
        ..
    } = product.input.geometry;
    let outputs = samples * output.iter().product::<usize>();
    let taps = taps.iter().product::<usize>();
    let threads = parallel::threads(COST * outputs * product.input.channels * taps);
    let regions = product.regions(threads, 8);
    let kernel = kernels(isa)[0];
    parallel::each(regions.len(), 1, threads, |number| {
        // SAFETY: regions have different pixels.
        isa.run(
            #[inline(always)]
            || unsafe { task(product, kernel, weights, &regions[number]) },
        );
    });
}

/// Computes the pixels of a region.
///
/// # Safety
/// Nothing else touches them meanwhile.
#[inline(always)]
unsafe fn task(product: &Product<'_>, kernel: Kernel, weights: &[u32], region: &Region) {
    /// Words behind a copy, so that the last channels of its last pixel can be read with others behind them.
    const BEHIND: usize = COLUMNS / 4;
    let Geometry {
        taps,
        dilation,
        strides,
        ..
    } = product.input.geometry;
    let channels = product.input.channels;
    let mut scratch = Scratch::take(Use::Left);
    let length = product.input.copy_len(region);
    let (rows, columns) = (region.rows.len(), region.columns.len());
    let end = |seen: &Seen<'_>| {
        let (rows, columns) = (product.input.seen(1, rows), product.input.seen(2, columns));
        (rows - 1) * seen.row + columns * seen.pixel
    };
    let in_place = product.input.in_place(region);
    let seen = match in_place.filter(|seen| end(seen) + BEHIND <= seen.words.len()) {
        Some(seen) => seen,
        // Also at the end of the input, where nothing is behind.
        None => {
            let to: &mut [u32] = bytemuck::cast_slice_mut(scratch.room(length + BEHIND));
            let Seen { row, pixel, .. } = product.input.copy(region, &mut to[..length]);
            Seen {
                words: to,
                row,
                pixel,
            }
        }
    };
    let bytes: &[u8] = bytemuck::cast_slice(seen.words);
    let places = (0..taps[1]).flat_map(|row| {
        let row = row * dilation[1] * seen.row;
        (0..taps[2]).map(move |tap| 4 * (row + tap * dilation[2] * seen.pixel))
    });
    let places: Vec<usize> = places.collect();
    let of_block = places.len().div_ceil(TOGETHER) * COLUMNS;
    let mut sums: Sums<i32> = [[0; COLUMNS]; ROWS];
    for row in 0..rows {
        let pixel = product.pixel(region, row);
        for column in (0..columns).step_by(ROWS) {
            let pixels = ROWS.min(columns - column);
            let at = 4 * (row * strides[1] * seen.row + column * strides[2] * seen.pixel);
            for first in (0..channels).step_by(COLUMNS) {
                let block = Block {
                    x: &bytes[at + first..],
                    step: 4 * strides[2] * seen.pixel,
                    pixels,
                    taps: &places,
                    weights: &weights[first / COLUMNS * of_block..][..of_block],
                };
                sum(kernel, &block, &mut sums);
                for (further, sums) in sums.iter().take(pixels).enumerate() {
                    // SAFETY: the caller's; column + pixels ≤ columns.
                    unsafe { product.finish.row(sums, pixel + column + further, first) };
                }
            }
        }
    }
}
