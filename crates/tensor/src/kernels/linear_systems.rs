//! Small systems of linear equations, determinants and Cholesky factors, one matrix after the other in
//! double precision, so that a result is as right as its matrix allows.

/// A matrix of `n` rows split into triangles, with rows swapped so that the largest numbers are on the
/// diagonal: what is below it is L, whose diagonal is 1, the rest U.
struct Factors {
    n: usize,
    values: Vec<f64>,
    /// Where each row came from.
    rows: Vec<usize>,
    /// −1 if rows were swapped an odd number of times.
    sign: f64,
}

impl Factors {
    fn of(n: usize, matrix: impl Fn(usize, usize) -> f32) -> Self {
        let cells = (0..n).flat_map(|row| (0..n).map(move |column| (row, column)));
        let mut values: Vec<f64> = cells.map(|(i, j)| f64::from(matrix(i, j))).collect();
        let (mut rows, mut sign): (Vec<usize>, f64) = ((0..n).collect(), 1.0);
        for k in 0..n {
            let size = |row: &usize| values[row * n + k].abs();
            let pivot = (k..n).max_by(|a, b| size(a).total_cmp(&size(b)));
            let pivot = pivot.expect("k is below n");
            if pivot != k {
                (0..n).for_each(|column| values.swap(pivot * n + column, k * n + column));
                rows.swap(pivot, k);
                sign = -sign;
            }
            let largest = values[k * n + k];
            if largest == 0.0 {
                continue;
            }
            for row in k + 1..n {
                let factor = values[row * n + k] / largest;
                values[row * n + k] = factor;
                for column in k + 1..n {
                    values[row * n + column] -= factor * values[k * n + column];
                }
            }
        }
        Factors {
            n,
            values,
            rows,
            sign,
        }
    }

    fn at(&self, row: usize, column: usize) -> f64 {
        self.values[row * self.n + column]
    }

    fn diagonal(&self) -> impl Iterator<Item = f64> {
        (0..self.n).map(|k| self.at(k, k))
    }
}

/// Solves `a · y = b`, or `aᵀ · y = b`, for matrices `a` of n × n and `b` of n × k, one after the other.
///
/// # Errors
/// The number of the first matrix that has no inverse.
///
/// # Panics
/// If lengths do not fit.
pub fn solve(
    n: usize,
    k: usize,
    transposed: bool,
    a: &[f32],
    b: &[f32],
    y: &mut [f32],
) -> Result<(), usize> {
    assert_eq!(a.len() * k, b.len() * n, "solve: lengths of a and b");
    assert_eq!(b.len(), y.len(), "solve: lengths of b and y");
    if b.is_empty() {
        return Ok(());
    }
    let systems = a.chunks_exact(n * n).zip(b.chunks_exact(n * k));
    let mut column = vec![0.0_f64; n];
    for (number, ((a, b), y)) in systems.zip(y.chunks_exact_mut(n * k)).enumerate() {
        let of = Factors::of(n, |i, j| {
            if transposed {
                a[j * n + i]
            } else {
                a[i * n + j]
            }
        });
        if of.diagonal().any(|pivot| pivot == 0.0) {
            return Err(number);
        }
        for j in 0..k {
            for i in 0..n {
                let known = (0..i).map(|m| of.at(i, m) * column[m]);
                column[i] = f64::from(b[of.rows[i] * k + j]) - known.sum::<f64>();
            }
            for i in (0..n).rev() {
                let known = (i + 1..n).map(|m| of.at(i, m) * column[m]);
                column[i] = (column[i] - known.sum::<f64>()) / of.at(i, i);
            }
            (0..n).for_each(|i| y[i * k + j] = column[i] as f32);
        }
    }
    Ok(())
}

/// The sign of the determinant of each matrix of n × n, and the logarithm of its magnitude.
///
/// # Panics
/// If lengths do not fit.
pub fn log_determinants(n: usize, a: &[f32]) -> impl Iterator<Item = (f64, f64)> {
    a.chunks_exact((n * n).max(1)).map(move |a| {
        let factors = Factors::of(n, |i, j| a[i * n + j]);
        let sign = |x: f64| if x == 0.0 { 0.0 } else { x.signum() };
        factors.diagonal().fold((factors.sign, 0.0), |sum, x| {
            (sum.0 * sign(x), sum.1 + x.abs().ln())
        })
    })
}

/// The lower triangles `y` with `y · yᵀ = a`, for positive definite matrices of n × n, of which what is
/// above the diagonal is not read.
///
/// # Errors
/// The number of the first matrix that is not positive definite.
///
/// # Panics
/// If lengths do not fit.
pub fn cholesky(n: usize, a: &[f32], y: &mut [f32]) -> Result<(), usize> {
    assert_eq!(a.len(), y.len(), "cholesky: lengths");
    if a.is_empty() {
        return Ok(());
    }
    let mut l = vec![0.0_f64; n * n];
    let both = a.chunks_exact(n * n).zip(y.chunks_exact_mut(n * n));
    for (number, (a, y)) in both.enumerate() {
        for i in 0..n {
            for j in 0..=i {
                let known: f64 = (0..j).map(|m| l[i * n + m] * l[j * n + m]).sum();
                let rest = f64::from(a[i * n + j]) - known;
                l[i * n + j] = match i == j {
                    true if rest > 0.0 => rest.sqrt(),
                    true => return Err(number),
                    false => rest / l[j * n + j],
                };
            }
        }
        y.iter_mut().zip(&l).for_each(|(y, l)| *y = *l as f32);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: [f32; 9] = [0.0, 2.0, 1.0, 4.0, 1.0, 0.5, 1.0, 1.0, 3.0];

    #[test]
    fn a_system_is_solved_also_where_its_first_pivot_is_zero() {
        // a · (1, −2, 3) and aᵀ · (1, −2, 3).
        for (transposed, b) in [(false, [-1.0, 3.5, 8.0]), (true, [-5.0, 3.0, 9.0])] {
            let mut y = [0.0; 3];
            solve(3, 1, transposed, &A, &b, &mut y).unwrap();
            for (y, expected) in y.iter().zip([1.0, -2.0, 3.0]) {
                assert!((y - expected).abs() < 1e-6, "{y}, not {expected}");
            }
        }
        let singular = [1.0, 2.0, 2.0, 4.0];
        let matrices = [[1.0, 0.0, 0.0, 1.0], singular].concat();
        let mut y = [0.0; 4];
        assert_eq!(solve(2, 1, false, &matrices, &[1.0; 4], &mut y), Err(1));
    }

    #[test]
    fn determinants_have_the_sign_of_the_swaps() {
        let (sign, logarithm) = log_determinants(3, &A).next().unwrap();
        // 0·(3 − 0.5) − 2·(12 − 0.5) + 1·(4 − 1)
        assert!((sign * logarithm.exp() + 20.0).abs() < 1e-12);
        let singular = log_determinants(2, &[1.0, 2.0, 2.0, 4.0]).next();
        assert_eq!(singular, Some((0.0, f64::NEG_INFINITY)));
    }

    #[test]
    fn cholesky_factors_give_the_matrix_again() {
        let mut y = [0.0; 4];
        // What is above the diagonal is not read.
        cholesky(2, &[4.0, f32::NAN, 2.0, 10.0], &mut y).unwrap();
        assert_eq!(y, [2.0, 0.0, 1.0, 3.0]);
        assert_eq!(cholesky(1, &[1.0, -1.0], &mut [0.0; 2]), Err(1));
    }
}
