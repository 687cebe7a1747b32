//! Softmax and its relatives over the last axis, and the loss that goes with it.
//!
//! Every row is shifted by its maximum first, so that no exponential overflows. A row's result
//! depends on that row alone: the same bits in any batch.

mod cross_entropy;
mod narrow;
pub(in crate::kernels) mod rows;
#[cfg(test)]
mod tests;

pub use cross_entropy::{
    cross_entropy_gradient_from, cross_entropy_in, softmax_and_cross_entropy,
    softmax_cross_entropy, softmax_cross_entropy_gradient,
};

use super::isa::vectorised;
use super::math;
use super::parallel::parts;
use narrow::{GROUP, Group, is_narrow};
use rows::{ROWS, block_of_rows, exponentials, group_of_rows, log_sums, rewrite, row_sum, shift};

/// Work of one element in units of a cheap elementwise operation.
const COST: usize = 8;

vectorised! {
    pub(in crate::kernels) fn softmax_rows[](x: &[f32], columns: usize, y: &mut [f32]) {
        if is_narrow(columns) {
            return narrow_softmax(x, columns, y);
        }
        let block = block_of_rows(columns);
        for (x, y) in x.chunks(block).zip(y.chunks_mut(block)) {
            exponentials(x, columns, y);
            for row in (0..y.len()).step_by(columns) {
                let sum = row_sum(&y[row..], columns);
                rewrite(&mut y[row..], columns, |y| y / sum);
            }
        }
    }
}

/// [`softmax_rows`] of rows side by side.
#[inline(always)]
fn narrow_softmax(x: &[f32], columns: usize, y: &mut [f32]) {
    let mut group = Group::new(columns);
    for (x, y) in x.chunks(GROUP * columns).zip(y.chunks_mut(GROUP * columns)) {
        group.read_shifted(x);
        let sums = group.exponentials();
        group.rewrite(
            #[inline(always)]
            |_, e, row| e / sums[row],
        );
        group.write(columns, y);
    }
}

vectorised! {
    fn log_softmax_rows[](x: &[f32], columns: usize, y: &mut [f32]) {
        let group = group_of_rows(columns) * columns;
        let (mut maxima, mut logs) = ([0.0; ROWS], [0.0; ROWS]);
        for (x, y) in x.chunks(group).zip(y.chunks_mut(group)) {
            let rows = x.len() / columns;
            log_sums(x, columns, &mut maxima[..rows], &mut logs[..rows]);
            for row in 0..rows {
                let (max, log) = (maxima[row], logs[row]);
                let y = &mut y[row * columns..];
                shift(&x[row * columns..], columns, max, y);
                rewrite(y, columns, |y| y - log);
            }
        }
    }
}

vectorised! {
    fn log_sum_exp_rows[](x: &[f32], columns: usize, out: &mut [f32]) {
        let group = group_of_rows(columns);
        let mut maxima = [0.0; ROWS];
        for (x, out) in x.chunks(group * columns).zip(out.chunks_mut(group)) {
            log_sums(x, columns, &mut maxima[..out.len()], out);
            for (out, &max) in out.iter_mut().zip(&maxima) {
                // Infinite maxima have given ∞ − ∞.
                *out = math::select(max.is_infinite(), max, max + *out);
            }
        }
    }
}

/// `y[r, c] = exp(x[r, c]) / Σ_c exp(x[r, c])` for rows of `columns` values.
///
/// # Panics
/// If the lengths differ; likewise for the other functions here.
pub fn softmax(x: &[f32], columns: usize, y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "softmax: lengths of x and y");
    if !x.is_empty() {
        parts(y, columns, COST, |start, y| {
            softmax_rows(&x[start..start + y.len()], columns, y);
        });
    }
}

/// `y = x − logsumexp(x)` for rows of `columns` values: the logarithm of [`softmax`].
pub fn log_softmax(x: &[f32], columns: usize, y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "log_softmax: lengths of x and y");
    if !x.is_empty() {
        parts(y, columns, COST, |start, y| {
            log_softmax_rows(&x[start..start + y.len()], columns, y);
        });
    }
}

/// `out[r] = ln Σ_c exp(x[r, c])` for rows of `columns` values; −∞ over no values.
pub fn log_sum_exp(x: &[f32], columns: usize, out: &mut [f32]) {
    assert_eq!(x.len(), out.len() * columns, "log_sum_exp: lengths");
    if columns == 0 {
        return out.fill(f32::NEG_INFINITY);
    }
    parts(out, 1, COST * columns, |start, out| {
        let end = start + out.len();
        log_sum_exp_rows(&x[start * columns..end * columns], columns, out);
    });
}
