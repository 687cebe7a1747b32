//! One row after the other: its maximum, exponentials, sum, in pieces of sixteen values.

use crate::kernels::math;

/// Values of a row that are computed at a time. A row's last piece is filled up with values that
/// do not count.
pub(in crate::kernels) const PIECE: usize = 16;

/// `MASKS[n]` has all bits set in the first `n` lanes. Bits rather than conditions, because those
/// the compiler makes into one wide operation.
pub(super) static MASKS: [[u32; PIECE]; PIECE + 1] = {
    let mut masks = [[0; PIECE]; PIECE + 1];
    let mut count = 0;
    while count <= PIECE {
        let mut lane = 0;
        while lane < count {
            masks[count][lane] = u32::MAX;
            lane += 1;
        }
        count += 1;
    }
    masks
};

/// The first `count` lanes of `a`, and the others of `b`.
#[inline(always)]
pub(super) fn blend(count: usize, a: &[f32; PIECE], b: &[f32; PIECE]) -> [f32; PIECE] {
    let mask = &MASKS[count];
    let mut blended = [0.0; PIECE];
    for lane in 0..PIECE {
        let (a, b) = (a[lane].to_bits(), b[lane].to_bits());
        blended[lane] = f32::from_bits((a & mask[lane]) | (b & !mask[lane]));
    }
    blended
}

/// The first `count` values of `x`, and `filler` behind.
#[inline(always)]
pub(in crate::kernels) fn load(x: &[f32], count: usize, filler: f32) -> [f32; PIECE] {
    match x.first_chunk() {
        // One wide read that may run on into the next row.
        Some(wide) => blend(count, wide, &[filler; PIECE]),
        None => {
            let mut piece = [filler; PIECE];
            piece[..count].copy_from_slice(&x[..count]);
            piece
        }
    }
}

/// Writes the first `count` values of a piece. It may write beyond, into the next row: rows are
/// written in order, so what lies behind is written afterwards.
#[inline(always)]
pub(super) fn store(y: &mut [f32], count: usize, piece: &[f32; PIECE]) {
    match y.first_chunk_mut() {
        Some(wide) => *wide = *piece,
        None => y[..count].copy_from_slice(&piece[..count]),
    }
}

/// The first `columns` values as whole pieces, and where the rest begins.
#[inline(always)]
pub(super) fn whole(x: &[f32], columns: usize) -> (&[[f32; PIECE]], usize) {
    let pieces = x[..columns].as_chunks().0;
    (pieces, pieces.len() * PIECE)
}

/// Folds sixteen values by halves.
#[inline(always)]
pub(super) fn tree(mut lanes: [f32; PIECE], fold: impl Fn(f32, f32) -> f32) -> f32 {
    let mut width = PIECE;
    while width > 1 {
        width /= 2;
        for lane in 0..width {
            lanes[lane] = fold(lanes[lane], lanes[lane + width]);
        }
    }
    lanes[0]
}

/// The largest of the first `columns` values. NaN may be passed over: it makes the exponentials
/// and their sum NaN.
#[inline(always)]
pub(super) fn row_max(x: &[f32], columns: usize) -> f32 {
    let larger = |a: f32, b: f32| math::select(a > b, a, b);
    let (pieces, tail) = whole(x, columns);
    let mut largest = [f32::NEG_INFINITY; PIECE];
    for piece in pieces {
        for (largest, &x) in largest.iter_mut().zip(piece) {
            *largest = larger(x, *largest);
        }
    }
    if tail < columns {
        let piece = load(&x[tail..], columns - tail, f32::NEG_INFINITY);
        for (largest, &x) in largest.iter_mut().zip(&piece) {
            *largest = larger(x, *largest);
        }
    }
    tree(largest, larger)
}

/// The sum of the first `columns` values: sixteen partial sums, and of a long row those of every
/// [`BLOCK`] values first, so that it stays accurate.
#[inline(always)]
pub(super) fn row_sum(y: &[f32], columns: usize) -> f32 {
    let (pieces, tail) = whole(y, columns);
    let mut total = [0.0; PIECE];
    for block in pieces.chunks(BLOCK / PIECE) {
        let mut sums = [0.0; PIECE];
        for piece in block {
            for (sum, y) in sums.iter_mut().zip(piece) {
                *sum += y;
            }
        }
        for (total, sum) in total.iter_mut().zip(sums) {
            *total += sum;
        }
    }
    if tail < columns {
        let piece = load(&y[tail..], columns - tail, 0.0);
        for (total, y) in total.iter_mut().zip(piece) {
            *total += y;
        }
    }
    tree(total, |a, b| a + b)
}

/// Values that are exponentiated at a time; what belongs to them stays in the first-level cache.
pub(super) const BLOCK: usize = 2048;

/// The exponentials of all values. One long loop: over single pieces the compiler would unroll it
/// into scalar code.
#[inline(always)]
pub(super) fn exp_in_place(y: &mut [f32]) {
    for y in y {
        *y = math::exp(*y);
    }
}

/// Rows whose exponentials are taken together, in values.
#[inline(always)]
pub(super) fn block_of_rows(columns: usize) -> usize {
    (BLOCK / columns).max(1) * columns
}

/// `y = x − shift` for the first `columns` values.
#[inline(always)]
pub(super) fn shift(x: &[f32], columns: usize, shift: f32, y: &mut [f32]) {
    let tail = columns / PIECE * PIECE;
    for (y, x) in y[..tail].iter_mut().zip(&x[..tail]) {
        *y = x - shift;
    }
    if tail < columns {
        let mut piece = load(&x[tail..], columns - tail, 0.0);
        for x in &mut piece {
            *x -= shift;
        }
        store(&mut y[tail..], columns - tail, &piece);
    }
}

/// Writes `exp(x − max(x))` of every row into `y`.
#[inline(always)]
pub(super) fn exponentials(x: &[f32], columns: usize, y: &mut [f32]) {
    for row in (0..x.len()).step_by(columns) {
        let max = row_max(&x[row..], columns);
        shift(&x[row..], columns, max, &mut y[row..]);
    }
    exp_in_place(y);
}

/// Replaces the first `columns` values of `y`.
#[inline(always)]
pub(super) fn rewrite(y: &mut [f32], columns: usize, f: impl Fn(f32) -> f32) {
    let tail = columns / PIECE * PIECE;
    for y in &mut y[..tail] {
        *y = f(*y);
    }
    if tail < columns {
        let count = columns - tail;
        let y = &mut y[tail..];
        // The values behind the row are written back as they are.
        let old = match y.first_chunk() {
            Some(wide) => *wide,
            None => load(y, count, 0.0),
        };
        let mut new = old;
        for y in &mut new {
            *y = f(*y);
        }
        store(y, count, &blend(count, &new, &old));
    }
}

/// Rows whose logarithms are taken together.
pub(super) const ROWS: usize = 16;

/// Maximum and `ln Σ exp(x − max)` of up to [`ROWS`] rows.
#[inline(always)]
pub(super) fn log_sums(x: &[f32], columns: usize, maxima: &mut [f32], logs: &mut [f32]) {
    let mut buffer = [0.0; BLOCK];
    let rows = logs.len();
    for (row, max) in maxima.iter_mut().enumerate() {
        *max = row_max(&x[row * columns..], columns);
    }
    // Several rows in one block, or one row in several blocks.
    let mut totals = [[0.0; PIECE]; ROWS];
    for block in (0..columns).step_by(BLOCK) {
        let here = BLOCK.min(columns - block);
        let width = here.next_multiple_of(PIECE);
        for (row, &max) in maxima.iter().enumerate() {
            let (x, y) = (&x[row * columns + block..], &mut buffer[row * width..]);
            shift(x, here, max, y);
            // Behind the row stands what does not count.
            let tail = here / PIECE * PIECE;
            if let Some(y) = y[tail..width].first_chunk_mut() {
                *y = blend(here - tail, y, &[f32::NEG_INFINITY; PIECE]);
            }
        }
        let used = &mut buffer[..rows * width];
        exp_in_place(used);
        for (total, row) in totals.iter_mut().zip(used.chunks_exact(width)) {
            let mut sums = [0.0; PIECE];
            for piece in row.chunks_exact(PIECE) {
                for (sum, y) in sums.iter_mut().zip(piece) {
                    *sum += y;
                }
            }
            for (total, sum) in total.iter_mut().zip(sums) {
                *total += sum;
            }
        }
    }
    for (log, &total) in logs.iter_mut().zip(&totals) {
        *log = tree(total, |a, b| a + b);
    }
    for log in logs {
        *log = math::ln(*log);
    }
}

/// How many rows [`log_sums`] takes at a time.
#[inline(always)]
pub(super) fn group_of_rows(columns: usize) -> usize {
    (BLOCK / columns.next_multiple_of(PIECE)).clamp(1, ROWS)
}
