//! Solving with a dense matrix that is symmetric and positive definite.

use crate::product::{add_scaled, dot};

/// Replaces the lower half of `a`, n × n, by its factor L with A = L Lᵀ. False if `a` is not positive definite.
pub(crate) fn factorise(a: &mut [f64], n: usize) -> bool {
    for i in 0..n {
        let (above, row) = a.split_at_mut(i * n);
        solve_row(above, n, &mut row[..i]);
        let rest = row[i] - dot(&row[..i], &row[..i]);
        if rest.is_nan() || rest <= 0.0 {
            return false;
        }
        row[i] = rest.sqrt();
    }
    true
}

/// Replaces `b` by A⁻¹ b, and `a` as [`factorise`] does. NaN if `a` is not positive definite.
pub(crate) fn factorise_and_solve(a: &mut [f64], n: usize, b: &mut [f64], columns: usize) {
    match factorise(a, n) {
        true => solve(a, n, b, columns),
        false => b.fill(f64::NAN),
    }
}

/// Solves A x = b for each of the columns of `b`, n × `columns`, in place.
pub(crate) fn solve(factor: &[f64], n: usize, b: &mut [f64], columns: usize) {
    forward(factor, n, b, columns);
    for i in (0..n).rev() {
        let (above, row) = b.split_at_mut(i * columns);
        let row = &mut row[..columns];
        row.iter_mut().for_each(|b| *b /= factor[i * n + i]);
        for (j, above) in above.chunks_exact_mut(columns).enumerate() {
            add_scaled(above, -factor[i * n + j], row);
        }
    }
}

/// Solves L x = b likewise.
pub(crate) fn forward(factor: &[f64], n: usize, b: &mut [f64], columns: usize) {
    for i in 0..n {
        let (above, row) = b.split_at_mut(i * columns);
        let row = &mut row[..columns];
        for (j, above) in above.chunks_exact(columns).enumerate() {
            add_scaled(row, -factor[i * n + j], above);
        }
        row.iter_mut().for_each(|b| *b /= factor[i * n + i]);
    }
}

/// Solves L x = b for one b, in place, of as many of L's rows as it has numbers. It goes along rows, [`forward`] down
/// columns: their last bits differ.
pub(crate) fn solve_row(factor: &[f64], n: usize, b: &mut [f64]) {
    for j in 0..b.len() {
        let row = &factor[j * n..][..=j];
        b[j] = (b[j] - dot(&b[..j], &row[..j])) / row[j];
    }
}
