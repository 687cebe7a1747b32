//! Copies of the operands in the order in which the tile kernel reads them.
//!
//! The right operand is cut into panels of two vectors' width: `panel[k][column]`, the last one
//! filled up with zeros. The left operand is cut into tiles of rows: `tile[k][row]`.

use std::cell::Cell;

#[cfg(target_arch = "x86_64")]
use super::lanes::{Avx512, Lanes};
use super::matrix::Strided;
use crate::kernels::isa::Isa;

/// Memory that begins at a cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; 16]);

/// A growing buffer, aligned to cache lines.
#[derive(Default)]
pub(in crate::kernels) struct Scratch {
    lines: Vec<Line>,
}

/// Values beyond which a buffer is freed after use rather than kept for the next call.
const KEPT: usize = 1 << 22;

thread_local! {
    /// The buffers of this thread: left operand, right operand, and three for convolutions.
    static BUFFERS: [Cell<Scratch>; 5] = const { [const { Cell::new(Scratch { lines: Vec::new() }) }; 5] };
}

impl Scratch {
    /// Room for `length` values, of any content.
    pub fn room(&mut self, length: usize) -> *mut f32 {
        let lines = length.div_ceil(16);
        if self.lines.len() < lines {
            self.lines.resize(lines, Line([0.0; 16]));
        }
        self.lines.as_mut_ptr().cast()
    }

    /// Takes this thread's buffer for operand 0 (left) or 1 (right), or one of a convolution's (2 to
    /// 4); give it [back](Self::give_back) afterwards.
    pub fn take(operand: usize) -> Self {
        BUFFERS.with(|buffers| buffers[operand].take())
    }

    /// Keeps a buffer for the next call.
    pub fn give_back(self, operand: usize) {
        if self.lines.len() * 16 <= KEPT {
            BUFFERS.with(|buffers| buffers[operand].set(self));
        }
    }
}

/// Rows of the right operand that are copied together: reading then follows few rows at a time,
/// and writing fills whole pieces of a panel.
const ROWS: usize = 8;

/// Packs `depth × columns` of the right operand at `b` into panels of `width`; each panel takes
/// `depth * width` values.
///
/// # Safety
/// The part must be readable, and `to` have room for `depth * columns` rounded up to `width`.
pub(in crate::kernels) unsafe fn pack_right(
    b: Strided,
    depth: usize,
    columns: usize,
    width: usize,
    to: *mut f32,
) {
    // SAFETY: rows below `depth` and columns below `columns` are readable; a panel's part of `to`
    // ends `depth * width` after its beginning.
    unsafe {
        if b.column_stride == 1 {
            for row0 in (0..depth).step_by(ROWS) {
                let row1 = (row0 + ROWS).min(depth);
                for column in (0..columns).step_by(width) {
                    let here = width.min(columns - column);
                    let runs = Runs {
                        from: b.at(row0, column),
                        from_step: b.row_stride,
                        to: to.add(column * depth + row0 * width),
                        to_step: width,
                        length: here,
                        count: row1 - row0,
                    };
                    runs.copy();
                    if here < width {
                        for row in 0..runs.count {
                            runs.to.add(row * width + here).write_bytes(0, width - here);
                        }
                    }
                }
            }
        } else {
            for column in (0..columns).step_by(width) {
                let here = width.min(columns - column);
                let panel = to.add(column * depth);
                let from = Strided {
                    data: b.at(0, column),
                    row_stride: b.column_stride,
                    column_stride: b.row_stride,
                };
                pack_upright(from, here, depth, width, panel);
                if here < width {
                    for row in 0..depth {
                        panel.add(row * width + here).write_bytes(0, width - here);
                    }
                }
            }
        }
    }
}

/// Copies `length` values; the lengths of panels and of tile rows become one move or two, which may
/// overlap.
///
/// # Safety
/// As [`std::ptr::copy_nonoverlapping`].
#[inline(always)]
unsafe fn copy(from: *const f32, to: *mut f32, length: usize) {
    use std::ptr::copy_nonoverlapping;
    /// `length` from `N` to twice that.
    #[inline(always)]
    unsafe fn twice<const N: usize>(from: *const f32, to: *mut f32, length: usize) {
        // SAFETY: the first and the last `N` values are within the length.
        unsafe {
            copy_nonoverlapping(from, to, N);
            copy_nonoverlapping(from.add(length - N), to.add(length - N), N);
        }
    }
    // SAFETY: the caller's.
    unsafe {
        match length {
            16 => copy_nonoverlapping(from, to, 16),
            17..=32 => twice::<16>(from, to, length),
            8 => copy_nonoverlapping(from, to, 8),
            9..=15 => twice::<8>(from, to, length),
            4..=7 => twice::<4>(from, to, length),
            2..=3 => twice::<2>(from, to, length),
            length => copy_nonoverlapping(from, to, length),
        }
    }
}

/// Runs of values that are copied to other places.
struct Runs {
    from: *const f32,
    /// How far apart runs begin.
    from_step: usize,
    to: *mut f32,
    /// How far apart their places begin.
    to_step: usize,
    /// The values of a run.
    length: usize,
    count: usize,
}

impl Runs {
    /// # Safety
    /// The runs must be readable, their places writable, and these must not overlap.
    unsafe fn copy(&self) {
        // SAFETY: the caller's; the machine has AVX-512 where it was found.
        unsafe {
            #[cfg(target_arch = "x86_64")]
            if Isa::detect() == Isa::Avx512 {
                return self.copy_avx512();
            }
            for run in 0..self.count {
                let (from, to) = (run * self.from_step, run * self.to_step);
                copy(self.from.add(from), self.to.add(to), self.length);
            }
        }
    }

    /// [`copy`](Self::copy) in whole vectors and a part of one.
    ///
    /// # Safety
    /// As for `copy`, on a machine with AVX-512.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f")]
    unsafe fn copy_avx512(&self) {
        // Vectors before the last one, which has 1 to 16 values.
        let whole = self.length.div_ceil(16).max(1) - 1;
        // SAFETY: the caller's; the last, masked part has the rest of the values.
        unsafe {
            let mask = Avx512::mask(self.length - whole * 16);
            for vector in 0..whole {
                let (from, to) = (self.from.add(vector * 16), self.to.add(vector * 16));
                for run in 0..self.count {
                    let value = Avx512::load(from.add(run * self.from_step));
                    Avx512::store(to.add(run * self.to_step), value);
                }
            }
            let (from, to) = (self.from.add(whole * 16), self.to.add(whole * 16));
            for run in 0..self.count {
                let value = Avx512::load_masked(from.add(run * self.from_step), mask);
                Avx512::store_masked(to.add(run * self.to_step), value, mask);
            }
        }
    }
}

/// Writes `rows × depth` at `a` with its rows next to each other: `to[k * step + row]`.
///
/// # Safety
/// The part must be readable, and `to` have room for `depth` runs of `rows` values, `step` apart.
pub(in crate::kernels) unsafe fn pack_upright(
    a: Strided,
    rows: usize,
    depth: usize,
    step: usize,
    to: *mut f32,
) {
    // SAFETY: the caller vouches for rows below `rows` and k below `depth`.
    unsafe {
        if a.row_stride == 1 {
            let runs = Runs {
                from: a.data,
                from_step: a.column_stride,
                to,
                to_step: step,
                length: rows,
                count: depth,
            };
            return runs.copy();
        }
        let mut row = 0;
        if a.column_stride == 1 {
            #[cfg(target_arch = "x86_64")]
            if Isa::detect() != Isa::Portable {
                while row + 8 <= rows {
                    transpose8(a.at(row, 0), a.row_stride, depth, step, to.add(row));
                    row += 8;
                }
            }
            while row + 4 <= rows {
                transpose4(a.at(row, 0), a.row_stride, depth, step, to.add(row));
                row += 4;
            }
        }
        while row < rows {
            for k in 0..depth {
                *to.add(k * step + row) = *a.at(row, k);
            }
            row += 1;
        }
    }
}

/// Four rows of `depth` values, transposed four by four.
///
/// # Safety
/// As [`pack_upright`] with four rows.
unsafe fn transpose4(from: *const f32, stride: usize, depth: usize, step: usize, to: *mut f32) {
    let mut k = 0;
    // SAFETY: k stays below `depth`.
    unsafe {
        while k + 4 <= depth {
            let row = |i: usize| from.add(i * stride + k).cast::<[f32; 4]>().read();
            let (a, b, c, d) = (row(0), row(1), row(2), row(3));
            for i in 0..4 {
                let to = to.add((k + i) * step).cast::<[f32; 4]>();
                to.write([a[i], b[i], c[i], d[i]]);
            }
            k += 4;
        }
        while k < depth {
            for i in 0..4 {
                *to.add(k * step + i) = *from.add(i * stride + k);
            }
            k += 1;
        }
    }
}

/// Eight rows of `depth` values, transposed eight by eight.
///
/// # Safety
/// As [`pack_upright`] with eight rows, on a machine with AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn transpose8(from: *const f32, stride: usize, depth: usize, step: usize, to: *mut f32) {
    use std::arch::x86_64::*;
    let mut k = 0;
    // SAFETY: k stays below `depth`, and the machine has AVX2.
    unsafe {
        while k + 8 <= depth {
            let row = |i: usize| _mm256_loadu_ps(from.add(i * stride + k));
            let rows: [__m256; 8] = std::array::from_fn(row);
            // Pairs of rows interleaved, then fours, then the halves exchanged.
            let pairs: [__m256; 8] = std::array::from_fn(|i| {
                let (a, b) = (rows[i / 2 * 2], rows[i / 2 * 2 + 1]);
                if i % 2 == 0 {
                    _mm256_unpacklo_ps(a, b)
                } else {
                    _mm256_unpackhi_ps(a, b)
                }
            });
            let fours: [__m256; 8] = std::array::from_fn(|i| {
                let (half, within) = (i / 4 * 4, i % 4);
                let (a, b) = (pairs[half + within / 2], pairs[half + 2 + within / 2]);
                if within % 2 == 0 {
                    _mm256_shuffle_ps::<0b01_00_01_00>(a, b)
                } else {
                    _mm256_shuffle_ps::<0b11_10_11_10>(a, b)
                }
            });
            for i in 0..4 {
                let low = _mm256_permute2f128_ps::<0x20>(fours[i], fours[4 + i]);
                let high = _mm256_permute2f128_ps::<0x31>(fours[i], fours[4 + i]);
                _mm256_storeu_ps(to.add((k + i) * step), low);
                _mm256_storeu_ps(to.add((k + 4 + i) * step), high);
            }
            k += 8;
        }
        while k < depth {
            for i in 0..8 {
                *to.add(k * step + i) = *from.add(i * stride + k);
            }
            k += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_to_stand_upright() {
        for (rows, depth) in [(1, 5), (4, 8), (8, 8), (12, 19), (32, 10), (13, 33)] {
            let stride = depth + 3;
            let from: Vec<f32> = (0..rows * stride).map(|i| i as f32).collect();
            let step = rows + 1;
            let mut to = vec![-1.0; depth * step];
            let a = Strided {
                data: from.as_ptr(),
                row_stride: stride,
                column_stride: 1,
            };
            // SAFETY: `from` has `rows` rows of `stride ≥ depth`, `to` has `depth` of `step`.
            unsafe { pack_upright(a, rows, depth, step, to.as_mut_ptr()) };
            for k in 0..depth {
                for row in 0..rows {
                    assert_eq!(to[k * step + row], from[row * stride + k]);
                }
                assert_eq!(to[k * step + rows], -1.0);
            }
        }
    }
}
