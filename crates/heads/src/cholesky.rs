//! Solving with a dense matrix that is symmetric and positive definite.

use crate::product::{add_scaled, dot};

/// Replaces the lower half of `a`, n × n, by its factor L with A = L Lᵀ. False if `a` is not positive definite.
pub(crate) fn factorise(a: &mut [f64], n: usize) -> bool {
    for i in 0..n {
        let (above, row) = a.split_at_mut(i * n);
        for j in 0..i {
            let other = &above[j * n..][..=j];
            row[j] = (row[j] - dot(&row[..j], &other[..j])) / other[j];
        }
        let rest = row[i] - dot(&row[..i], &row[..i]);
        if rest.is_nan() || rest <= 0.0 {
            return false;
        }
        row[i] = rest.sqrt();
    }
    true
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
