//! Stacks of products, as over the leading axes of a tensor.

use super::tile::Kernels;
use super::{Epilogue, Matrix, Right, run};
use crate::kernels::isa::Isa;
use crate::kernels::parallel;

/// `c[i] = a[i] · b[i]` for `i` below `batch`: matrix `i` of an operand begins `i * stride` values
/// after the first, which `a` and `b` describe (their `data` reach to the end of the stack). A
/// stride of 0 uses the same matrix for all. The results lie one after the other.
///
/// # Panics
/// As [`matmul`](super::matmul), for any matrix of the stack.
pub fn matmul_batched(
    batch: usize,
    a: Matrix<'_>,
    a_stride: usize,
    b: Matrix<'_>,
    b_stride: usize,
    c: &mut [f32],
) {
    let size = a.rows * b.columns;
    assert_eq!(c.len(), batch * size, "matmul_batched: length of c");
    if c.is_empty() {
        return;
    }
    let kernels = Kernels::of(Isa::detect());
    let one = |index: usize, c: &mut [f32]| {
        let a = Matrix {
            data: &a.data[index * a_stride..],
            ..a
        };
        let b = Matrix {
            data: &b.data[index * b_stride..],
            ..b
        };
        run(kernels, a, Right::Matrix(b), c, false, &Epilogue::default());
    };
    let work = c.len().saturating_mul(a.columns);
    if batch > 1 && parallel::threads(work) > 1 {
        parallel::chunks(c, size, one);
    } else {
        c.chunks_mut(size)
            .enumerate()
            .for_each(|(index, c)| one(index, c));
    }
}
