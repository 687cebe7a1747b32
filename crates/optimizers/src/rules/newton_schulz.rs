//! The Newton-Schulz iteration that brings a matrix close to an orthogonal one, for Muon.

use regraft_tensor::kernels::matmul::{Matrix, matmul};

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
            let matrix = Matrix::new(x, short, long);
            matmul(matrix, matrix.transposed(), square);
            let squared = Matrix::new(square, short, short);
            matmul(squared, squared, polynomial);
            for (polynomial, square) in polynomial.iter_mut().zip(&*square) {
                *polynomial = b * square + c * *polynomial;
            }
            matmul(Matrix::new(polynomial, short, short), matrix, next);
            for (next, x) in next.iter_mut().zip(&*x) {
                *next += a * x;
            }
            std::mem::swap(&mut x, &mut next);
        }
        x
    }
}
