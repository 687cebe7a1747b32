//! Copies of the operands in the order in which the tile kernel reads them.
//!
//! The right operand is cut into panels of two vectors' width: `panel[k][column]`, the last one
//! filled up with zeros. The left operand is cut into tiles of rows: `tile[k][row]`.

use super::matrix::Strided;
#[cfg(target_arch = "x86_64")]
use crate::kernels::isa::Isa;

/// Rows of the right operand that are copied together: reading then follows few rows at a time,
/// and writing fills whole pieces of a panel.
const ROWS: usize = 8;

/// Packs `depth × columns` of the right operand `b` into panels of `width`; each panel takes
/// `depth * width` values.
///
/// # Panics
/// If `b` is smaller, or `to` has no room for `depth * columns`, rounded up to `width`; likewise for
/// [`pack_column_major`].
pub(in crate::kernels) fn pack_right(
    b: Strided<'_>,
    depth: usize,
    columns: usize,
    width: usize,
    to: &mut [f32],
) {
    if depth == 0 || columns == 0 {
        return;
    }
    let to = &mut to[..depth * columns.next_multiple_of(width)];
    if b.column_stride == 1 {
        for row0 in (0..depth).step_by(ROWS) {
            let row1 = (row0 + ROWS).min(depth);
            for column in (0..columns).step_by(width) {
                let here = width.min(columns - column);
                let to = &mut to[column * depth + row0 * width..][..(row1 - row0) * width];
                let runs = Runs {
                    from: b.at(row0, column).data,
                    from_step: b.row_stride,
                    to_step: width,
                    length: here,
                    count: row1 - row0,
                };
                runs.copy(to);
                fill_rest(to, width, here);
            }
        }
    } else {
        for (panel, to) in to.chunks_exact_mut(depth * width).enumerate() {
            let here = width.min(columns - panel * width);
            let from = b.at(0, panel * width).transposed();
            pack_column_major(from, here, depth, width, to);
            fill_rest(to, width, here);
        }
    }
}

/// Zeros behind the first `here` values of each row of `width`.
fn fill_rest(panel: &mut [f32], width: usize, here: usize) {
    if here < width {
        for row in panel.chunks_exact_mut(width) {
            row[here..].fill(0.0);
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
    ///
    /// # Safety
    /// As [`std::ptr::copy_nonoverlapping`].
    #[inline(always)]
    unsafe fn twice<const N: usize>(from: *const f32, to: *mut f32, length: usize) {
        // SAFETY: N ≤ length, so that the first and the last `N` values are among these.
        unsafe {
            copy_nonoverlapping(from, to, N);
            copy_nonoverlapping(from.add(length - N), to.add(length - N), N);
        }
    }
    // SAFETY: the caller's; each arm copies `length` values or, in `twice::<N>`, N ≤ length ≤ 2 N.
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
#[derive(Clone, Copy)]
struct Runs<'a> {
    from: &'a [f32],
    /// How far apart runs begin.
    from_step: usize,
    /// How far apart their places begin.
    to_step: usize,
    /// The values of a run.
    length: usize,
    count: usize,
}

impl Runs<'_> {
    /// # Panics
    /// If the runs do not lie within `from`, or their places not within `to`.
    #[inline]
    fn copy(&self, to: &mut [f32]) {
        if self.count == 0 {
            return;
        }
        let end = |step: usize| (self.count - 1) * step + self.length;
        assert!(
            end(self.from_step) <= self.from.len() && end(self.to_step) <= to.len(),
            "pack: length"
        );
        #[cfg(target_arch = "x86_64")]
        if let Isa::Avx512(lanes) = Isa::detect() {
            return lanes.run(
                #[inline(always)]
                // SAFETY: end(from_step) ≤ from.len(), end(to_step) ≤ to.len().
                || unsafe { self.copy_vectors(lanes, to.as_mut_ptr()) },
            );
        }
        let (from, to) = (self.from.as_ptr(), to.as_mut_ptr());
        for run in 0..self.count {
            // SAFETY: run ≤ count − 1, and (count − 1) · step + length ≤ len for both.
            unsafe {
                let to = to.add(run * self.to_step);
                copy(from.add(run * self.from_step), to, self.length);
            }
        }
    }

    /// [`copy`](Self::copy) in whole vectors and a part of one.
    ///
    /// # Safety
    /// `(count − 1) · from_step + length ≤ from.len()`, and with `to_step` as many values from `to` on
    /// must be writable.
    #[inline(always)]
    #[cfg(target_arch = "x86_64")]
    unsafe fn copy_vectors<L: super::lanes::Lanes>(&self, lanes: L, to: *mut f32) {
        let Runs {
            from,
            from_step,
            to_step,
            length,
            count,
        } = *self;
        // Vectors before the last one, which has 1 to `COUNT` values.
        let whole = length.div_ceil(L::COUNT).max(1) - 1;
        let mask = lanes.mask(length - whole * L::COUNT);
        for vector in 0..whole {
            let mut from = from[vector * L::COUNT..].as_ptr();
            let mut to = to.wrapping_add(vector * L::COUNT);
            for _ in 0..count {
                // SAFETY: in run r ≤ count − 1; (vector + 1) · COUNT ≤ whole · COUNT < length.
                unsafe { lanes.store(to, lanes.load(from)) };
                (from, to) = (from.wrapping_add(from_step), to.wrapping_add(to_step));
            }
        }
        let mut from = from[whole * L::COUNT..].as_ptr();
        let mut to = to.wrapping_add(whole * L::COUNT);
        for _ in 0..count {
            // SAFETY: in run r ≤ count − 1; whole · COUNT + the lanes of `mask` = length.
            unsafe { lanes.store_masked(to, lanes.load_masked(from, mask), mask) };
            (from, to) = (from.wrapping_add(from_step), to.wrapping_add(to_step));
        }
    }
}

/// Writes `rows × depth` of `a` with its rows next to each other: `to[k * step + row]`.
#[inline]
pub(in crate::kernels) fn pack_column_major(
    a: Strided<'_>,
    rows: usize,
    depth: usize,
    step: usize,
    to: &mut [f32],
) {
    if a.row_stride == 1 {
        let runs = Runs {
            from: a.data,
            from_step: a.column_stride,
            to_step: step,
            length: rows,
            count: depth,
        };
        runs.copy(to);
    } else {
        transpose_rows(a, rows, depth, step, to);
    }
}

/// [`pack_column_major`] of rows that are apart.
fn transpose_rows(a: Strided<'_>, rows: usize, depth: usize, step: usize, to: &mut [f32]) {
    let mut row = 0;
    if a.column_stride == 1 && depth > 0 {
        #[cfg(target_arch = "x86_64")]
        if Isa::detect().has_avx2() {
            while row + 8 <= rows {
                // SAFETY: `has_avx2`.
                unsafe { transpose8(a.at(row, 0), depth, step, &mut to[row..]) };
                row += 8;
            }
        }
        while row + 4 <= rows {
            transpose4(a.at(row, 0), depth, step, &mut to[row..]);
            row += 4;
        }
    }
    while row < rows {
        for k in 0..depth {
            to[k * step + row] = a.data[row * a.row_stride + k * a.column_stride];
        }
        row += 1;
    }
}

/// `N` rows of `depth` values, one or more, transposed `N` by `N` by `square(from, to)`, which knows the strides.
///
/// # Panics
/// As [`pack_column_major`].
#[inline(always)]
fn transpose<const N: usize>(
    a: Strided<'_>,
    depth: usize,
    step: usize,
    to: &mut [f32],
    square: impl Fn(*const f32, *mut f32),
) {
    assert!(
        (N - 1) * a.row_stride + depth <= a.data.len() && (depth - 1) * step + N <= to.len(),
        "pack: length"
    );
    let whole = depth / N * N;
    for k in (0..whole).step_by(N) {
        square(a.data[k..].as_ptr(), to[k * step..].as_mut_ptr());
    }
    for k in whole..depth {
        for i in 0..N {
            to[k * step + i] = a.data[i * a.row_stride + k];
        }
    }
}

/// Four rows of `depth` values, one or more, transposed four by four.
fn transpose4(a: Strided<'_>, depth: usize, step: usize, to: &mut [f32]) {
    transpose::<4>(a, depth, step, to, |from, to| {
        // SAFETY: `transpose` has asserted that i · row_stride + 4 values from `from` on are readable and
        // i · step + 4 from `to` on writable, for i ≤ 3.
        unsafe {
            let row = |i: usize| from.add(i * a.row_stride).cast::<[f32; 4]>().read();
            let (a, b, c, d) = (row(0), row(1), row(2), row(3));
            for i in 0..4 {
                to.add(i * step)
                    .cast::<[f32; 4]>()
                    .write([a[i], b[i], c[i], d[i]]);
            }
        }
    });
}

/// Eight rows of `depth` values, one or more, transposed eight by eight.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn transpose8(a: Strided<'_>, depth: usize, step: usize, to: &mut [f32]) {
    use std::arch::x86_64::*;
    transpose::<8>(a, depth, step, to, |from, to| {
        // SAFETY: `transpose` has asserted that i · row_stride + 8 values from `from` on are readable, for
        // i ≤ 7.
        let row = |i: usize| unsafe { _mm256_loadu_ps(from.add(i * a.row_stride)) };
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
            // SAFETY: likewise, i · step + 8 values from `to` on are writable, for i ≤ 7.
            unsafe {
                _mm256_storeu_ps(to.add(i * step), low);
                _mm256_storeu_ps(to.add((4 + i) * step), high);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_to_stand_next_to_each_other() {
        for (rows, depth) in [(1, 5), (4, 8), (8, 8), (12, 19), (32, 10), (13, 33)] {
            let stride = depth + 3;
            let from: Vec<f32> = (0..rows * stride).map(|i| i as f32).collect();
            let step = rows + 1;
            let mut to = vec![-1.0; depth * step];
            let a = Strided {
                data: &from,
                row_stride: stride,
                column_stride: 1,
            };
            pack_column_major(a, rows, depth, step, &mut to);
            for k in 0..depth {
                for row in 0..rows {
                    assert_eq!(to[k * step + row], from[row * stride + k]);
                }
                assert_eq!(to[k * step + rows], -1.0);
            }
        }
    }
}
