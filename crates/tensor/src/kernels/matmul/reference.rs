//! The same product by another implementation, to check against.

use super::Matrix;

/// `c = a · b` by the `matrixmultiply` crate. Its order of addition is its own, so it agrees with
/// [`matmul`](super::matmul) only up to rounding.
///
/// # Panics
/// As [`matmul`](super::matmul).
pub fn reference(a: Matrix<'_>, b: Matrix<'_>, c: &mut [f32]) {
    assert_eq!(a.columns, b.rows, "reference: columns of a and rows of b");
    assert_eq!(c.len(), a.rows * b.columns, "reference: length of c");
    let (left, right) = (a.strided(), b.strided());
    // SAFETY: `strided` checked (rows − 1) · row_stride + (columns − 1) · column_stride < len for both
    // operands; `c` is row-major, of length rows · columns and borrowed mutably.
    unsafe {
        matrixmultiply::sgemm(
            a.rows,
            a.columns,
            b.columns,
            1.0,
            left.data.as_ptr(),
            left.row_stride as isize,
            left.column_stride as isize,
            right.data.as_ptr(),
            right.row_stride as isize,
            right.column_stride as isize,
            0.0,
            c.as_mut_ptr(),
            b.columns as isize,
            1,
        );
    }
}
