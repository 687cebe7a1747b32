//! The projection onto the probability simplex (Martins, Astudillo: "From softmax to sparsemax").

use super::parallel::parts;

/// `y = max(x − τ, 0)` for rows of `columns` values, with the τ for which the row adds up to 1.
///
/// τ is found by taking values out of the sum until none is left below it (Michelot: "A finite
/// algorithm for finding the projection of a point onto the canonical simplex of Rⁿ"), which needs
/// no sorting and no memory.
///
/// # Panics
/// If the lengths differ.
pub fn sparsemax(x: &[f32], columns: usize, y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "sparsemax: lengths of x and y");
    if x.is_empty() {
        return;
    }
    parts(y, columns, 8, |start, y| {
        let x = &x[start..start + y.len()];
        for (x, y) in x.chunks_exact(columns).zip(y.chunks_exact_mut(columns)) {
            // Relative to the largest value, τ lies between −1 and 0, and no sum overflows.
            let max = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            for (y, x) in y.iter_mut().zip(x) {
                *y = x - max;
            }
            // No value at −1 or below can be in the support, as the largest, 0, fills the sum.
            let (mut tau, mut count) = (-1.0, usize::MAX);
            loop {
                let support = y.iter().filter(|y| **y > tau);
                let (sum, left) = support.fold((0.0, 0), |(sum, n), y| (sum + y, n + 1));
                // Rounding may leave nothing, for one value, of the strict inequality.
                if left == 0 || left >= count {
                    break;
                }
                count = left;
                tau = (sum - 1.0) / left as f32;
            }
            for y in y {
                *y = (*y - tau).max(0.0);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// By sorting, in double precision.
    fn exact(row: &[f32]) -> Vec<f64> {
        let row: Vec<f64> = row.iter().map(|&x| f64::from(x)).collect();
        let mut sorted = row.clone();
        sorted.sort_by(|a, b| b.total_cmp(a));
        let (mut sum, mut tau) = (0.0, 0.0);
        for (k, x) in sorted.iter().enumerate() {
            sum += x;
            if 1.0 + (k + 1) as f64 * x > sum {
                tau = (sum - 1.0) / (k + 1) as f64;
            }
        }
        row.iter().map(|x| (x - tau).max(0.0)).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn agrees_with_the_definition(
            rows in (1usize..20).prop_flat_map(|columns| prop::collection::vec(
                prop::collection::vec(-2.0f32..2.0, columns), 1..4,
            ))
        ) {
            let columns = rows[0].len();
            let mut y = vec![0.0; rows.len() * columns];
            sparsemax(&rows.concat(), columns, &mut y);
            for (row, y) in rows.iter().zip(y.chunks(columns)) {
                for (y, expected) in y.iter().zip(exact(row)) {
                    prop_assert!((f64::from(*y) - expected).abs() < 1e-6, "{y} {expected}");
                }
            }
        }
    }

    #[test]
    fn one_value_far_ahead_takes_all() {
        let mut y = [0.5; 6];
        sparsemax(&[3e38, 0.0, -3e38, 1.0, 1.0, 1.0], 3, &mut y);
        assert_eq!(y[..3], [1.0, 0.0, 0.0]);
        assert!(y[3..].iter().all(|y| (y - 1.0 / 3.0).abs() < 1e-6));
    }
}
