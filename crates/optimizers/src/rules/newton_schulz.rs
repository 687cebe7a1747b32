//! The Newton-Schulz iteration that brings a matrix close to an orthogonal one, for Muon.

use regraft_tensor::ndarray::linalg::general_mat_mul;
use regraft_tensor::ndarray::{ArrayView2, ArrayViewMut2};

use crate::elementwise::sum_of_squares;

/// The working memory of the iteration on a matrix of `short` rows and `long` columns.
pub(super) struct Matrices<'a> {
    short: usize,
    long: usize,
    /// The matrix.
    pub x: &'a mut [f32],
    next: &'a mut [f32],
    square: &'a mut [f32],
    polynomial: &'a mut [f32],
}

impl<'a> Matrices<'a> {
    /// Takes the memory from `scratch`, which grows if it is too small.
    pub(super) fn within(scratch: &'a mut Vec<f32>, short: usize, long: usize) -> Self {
        let (size, side) = (short * long, short * short);
        let needed = 2 * (size + side);
        if scratch.len() < needed {
            scratch.resize(needed, 0.0);
        }
        let (x, rest) = scratch.split_at_mut(size);
        let (next, rest) = rest.split_at_mut(size);
        let (square, rest) = rest.split_at_mut(side);
        Matrices {
            short,
            long,
            x,
            next,
            square,
            polynomial: &mut rest[..side],
        }
    }

    /// Divides x by its Frobenius norm (plus 1e-7), then `steps` times
    /// `x ← a x + (b A + c A²) x` with `A = x xᵀ`.
    pub(super) fn orthogonalize(self, steps: u32, (a, b, c): (f32, f32, f32)) -> &'a [f32] {
        let Matrices {
            short,
            long,
            mut x,
            mut next,
            square,
            polynomial,
        } = self;
        let norm = sum_of_squares(x).sqrt() as f32 + 1e-7;
        x.iter_mut().for_each(|x| *x /= norm);
        for _ in 0..steps {
            let matrix = view(x, short, long);
            let mut product = view_mut(square, short, short);
            general_mat_mul(1.0, &matrix, &matrix.t(), 0.0, &mut product);
            for (polynomial, square) in polynomial.iter_mut().zip(&*square) {
                *polynomial = b * square;
            }
            let squared = view(square, short, short);
            let mut product = view_mut(polynomial, short, short);
            general_mat_mul(c, &squared, &squared, 1.0, &mut product);
            next.copy_from_slice(x);
            let mut product = view_mut(next, short, long);
            general_mat_mul(
                1.0,
                &view(polynomial, short, short),
                &matrix,
                a,
                &mut product,
            );
            std::mem::swap(&mut x, &mut next);
        }
        x
    }
}

fn view(values: &[f32], rows: usize, columns: usize) -> ArrayView2<'_, f32> {
    ArrayView2::from_shape((rows, columns), values).expect("rows times columns values")
}

fn view_mut(values: &mut [f32], rows: usize, columns: usize) -> ArrayViewMut2<'_, f32> {
    ArrayViewMut2::from_shape((rows, columns), values).expect("rows times columns values")
}
