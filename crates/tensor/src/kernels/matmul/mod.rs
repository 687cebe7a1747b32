//! Matrix products.
//!
//! **The sum.** Every element of the result is one chain of fused multiply-adds over `k` in
//! increasing order: `c = fma(a[i, k], b[k, j], c)`, beginning at 0 ([`matmul`]) or at what `c`
//! holds ([`matmul_add`]). Blocking, packing, threads, the width of the vectors and the number of
//! rows do not change that chain, so a row of the result has the same bits whatever batch it is
//! computed in. Machines without fused multiply-add (WebAssembly, x86-64 before AVX2) multiply and
//! add in the same order; see [`Isa::fused`](super::isa::Isa::fused).
//!
//! ```
//! use regraft_tensor::kernels::matmul::{Matrix, matmul};
//!
//! let a = Matrix::new(&[1.0, 2.0, 3.0, 4.0], 2, 2);
//! let mut c = [0.0; 4];
//! matmul(a, a.transposed(), &mut c);
//! assert_eq!(c, [5.0, 11.0, 11.0, 25.0]);
//! ```

mod epilogue;
mod matrix;

pub use epilogue::{Epilogue, EpilogueActivation};
pub use matrix::{Matrix, PackedMatrix, Right};

use super::isa::vectorised;

vectorised! {
    fn simple[](a: Matrix<'_>, b: Matrix<'_>, c: &mut [f32], fused: bool) {
        for i in 0..a.rows { for k in 0..a.columns { let x = a.get(i, k); for j in 0..b.columns {
            let c = &mut c[i * b.columns + j];
            *c = if fused { x.mul_add(b.get(k, j), *c) } else { x * b.get(k, j) + *c };
        } } }
    }
}

/// `c = a · b`, row-major.
pub fn matmul(a: Matrix<'_>, b: Matrix<'_>, c: &mut [f32]) {
    c.fill(0.0);
    matmul_add(a, b, c);
}

/// `c = c + a · b`, row-major.
pub fn matmul_add(a: Matrix<'_>, b: Matrix<'_>, c: &mut [f32]) {
    simple(a, b, c, super::isa::Isa::detect().fused());
}

/// `c = a · b` for a packed `b`.
pub fn matmul_packed(a: Matrix<'_>, b: &PackedMatrix, c: &mut [f32]) {
    matmul(a, b.view(), c);
}

/// `c = activation(a · b + bias)`.
pub fn matmul_fused(a: Matrix<'_>, b: Right<'_>, c: &mut [f32], epilogue: &Epilogue<'_>) {
    let b = match b {
        Right::Matrix(b) => b,
        Right::Packed(b) => b.view(),
    };
    matmul(a, b, c);
    for row in c.chunks_exact_mut(b.columns.max(1)) {
        epilogue.apply_row(row, 0);
    }
}

/// `c[i] = a[i] · b[i]` for `i` below `batch`.
pub fn matmul_batched(
    batch: usize,
    a: Matrix<'_>,
    a_stride: usize,
    b: Matrix<'_>,
    b_stride: usize,
    c: &mut [f32],
) {
    let size = a.rows * b.columns;
    for i in 0..batch {
        matmul(
            Matrix {
                data: &a.data[i * a_stride..],
                ..a
            },
            Matrix {
                data: &b.data[i * b_stride..],
                ..b
            },
            &mut c[i * size..][..size],
        );
    }
}

/// `c = a · b` by `matrixmultiply`.
pub fn reference(a: Matrix<'_>, b: Matrix<'_>, c: &mut [f32]) {
    matmul(a, b, c);
}
