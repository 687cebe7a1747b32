//! What the windows of some output pixels see, as words: in the input itself, or copied with its border and rounded.

use std::ops::Range;

use super::weights::bfloat16;
use super::{Quantization, Values};
use crate::kernels::convolution::geometry::Geometry;

/// How floats become words.
#[derive(Clone, Copy)]
pub(super) enum Rounding {
    Bytes(Quantization),
    Bfloat16,
}

impl Rounding {
    /// Values in a word.
    pub fn per_word(self) -> usize {
        match self {
            Rounding::Bytes(_) => 4,
            Rounding::Bfloat16 => 2,
        }
    }

    /// A word of zeros.
    fn zeros(self) -> u32 {
        match self {
            Rounding::Bytes(quantization) => u32::from(quantization.zero()) * 0x0101_0101,
            Rounding::Bfloat16 => 0,
        }
    }

    /// Rounds pixels of `channels` values each.
    #[inline(always)]
    fn round(self, from: &[f32], channels: usize, to: &mut [u32]) {
        match channels.is_multiple_of(self.per_word()) {
            true => self.round_all(from, to),
            false => {
                let words = channels.div_ceil(self.per_word());
                let pixels = from.chunks_exact(channels).zip(to.chunks_exact_mut(words));
                for (from, to) in pixels {
                    to[words - 1] = self.zeros();
                    self.round_all(from, to);
                }
            }
        }
    }

    #[inline(always)]
    fn round_all(self, from: &[f32], to: &mut [u32]) {
        match self {
            Rounding::Bytes(quantization) => {
                let to: &mut [u8] = bytemuck::cast_slice_mut(to);
                for (to, &from) in to.iter_mut().zip(from) {
                    *to = quantization.byte(from);
                }
            }
            Rounding::Bfloat16 => {
                let to: &mut [u16] = bytemuck::cast_slice_mut(to);
                for (to, &from) in to.iter_mut().zip(from) {
                    *to = bfloat16(from);
                }
            }
        }
    }
}

/// The input of a product.
#[derive(Clone, Copy)]
pub(super) struct Input<'a> {
    pub geometry: Geometry,
    pub channels: usize,
    pub values: Values<'a>,
    pub rounding: Rounding,
}

/// Output pixels of one slice of one sample, whose taps along the depth are one.
#[derive(Clone)]
pub(super) struct Region {
    /// Counted over samples and slices.
    pub slice: usize,
    pub rows: Range<usize>,
    pub columns: Range<usize>,
}

/// What the windows of a region see, from the first one's first tap on.
#[derive(Clone, Copy)]
pub(super) struct Seen<'a> {
    pub words: &'a [u32],
    /// How many words the next row, and the next pixel in it, is further.
    pub row: usize,
    pub pixel: usize,
}

impl<'a> Input<'a> {
    /// Words of a pixel.
    pub fn pixel(&self) -> usize {
        self.channels.div_ceil(self.rounding.per_word())
    }

    /// Pixels of the input along `axis` from the first to the last that `outputs` of the output see.
    pub fn seen(&self, axis: usize, outputs: usize) -> usize {
        let Geometry {
            taps,
            strides,
            dilation,
            ..
        } = self.geometry;
        (outputs - 1) * strides[axis] + (taps[axis] - 1) * dilation[axis] + 1
    }

    /// Where along `axis` the first of these output pixels begins to see: before the input if negative.
    fn first(&self, axis: usize, outputs: &Range<usize>) -> isize {
        (outputs.start * self.geometry.strides[axis]) as isize - self.geometry.before[axis]
    }

    /// The words that are read in the input itself, if the region can be.
    pub fn in_place(&self, region: &Region) -> Option<Seen<'a>> {
        let Values::Bytes(words, _) = self.values else {
            return None;
        };
        let [_, height, width] = self.geometry.input;
        let (row, column) = (self.first(1, &region.rows), self.first(2, &region.columns));
        let (row, column) = (usize::try_from(row).ok()?, usize::try_from(column).ok()?);
        let inside = row + self.seen(1, region.rows.len()) <= height
            && column + self.seen(2, region.columns.len()) <= width;
        let first = ((region.slice * height + row) * width + column) * self.pixel();
        inside.then(|| Seen {
            words: &words[first..],
            row: width * self.pixel(),
            pixel: self.pixel(),
        })
    }

    /// How many words a copy of what the region sees has.
    pub fn copy_len(&self, region: &Region) -> usize {
        let (rows, columns) = (
            self.seen(1, region.rows.len()),
            self.seen(2, region.columns.len()),
        );
        rows * columns * self.pixel()
    }

    /// Copies what the region sees to `to`, which is as long as [`copy_len`](Self::copy_len) says.
    #[inline(always)]
    pub fn copy<'t>(&self, region: &Region, to: &'t mut [u32]) -> Seen<'t> {
        let [_, height, width] = self.geometry.input;
        let pixel = self.pixel();
        let columns = self.seen(2, region.columns.len());
        let (first_row, first_column) =
            (self.first(1, &region.rows), self.first(2, &region.columns));
        let left = (-first_column).clamp(0, columns as isize);
        let right = (width as isize - first_column).clamp(left, columns as isize);
        let (inner, from_column) = (left as usize..right as usize, first_column.max(0) as usize);
        let zeros = self.rounding.zeros();
        for (number, to) in to.chunks_exact_mut(columns * pixel).enumerate() {
            let row = usize::try_from(first_row + number as isize).ok();
            let Some(row) = row.filter(|&row| row < height && !inner.is_empty()) else {
                to.fill(zeros);
                continue;
            };
            to[..inner.start * pixel].fill(zeros);
            to[inner.end * pixel..].fill(zeros);
            let to = &mut to[inner.start * pixel..inner.end * pixel];
            let first = (region.slice * height + row) * width + from_column;
            match self.values {
                Values::Bytes(words, _) => {
                    to.copy_from_slice(&words[first * pixel..][..to.len()]);
                }
                Values::F32(values) => {
                    let values = &values[first * self.channels..][..inner.len() * self.channels];
                    self.rounding.round(values, self.channels, to);
                }
            }
        }
        Seen {
            words: to,
            row: columns * pixel,
            pixel,
        }
    }
}
