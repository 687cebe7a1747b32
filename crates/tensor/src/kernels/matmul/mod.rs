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

mod batched;
mod block;
mod epilogue;
pub(in crate::kernels) mod lanes;
pub(in crate::kernels) mod matrix;
pub(in crate::kernels) mod pack;
mod reference;
mod right;
pub(in crate::kernels) mod scratch;
mod split;
#[cfg(test)]
mod tests;
pub(in crate::kernels) mod tile;

pub use batched::matmul_batched;
pub use epilogue::{Epilogue, EpilogueActivation};
pub use matrix::Matrix;
pub use reference::reference;
pub use right::{PackedMatrix, Right};

use super::isa::{Isa, TARGET_FUSES};
use super::parallel::SharedMut;
use block::{Product, RightPart};
use tile::Kernels;

/// One link of a chain on targets without their own kernel: fused where the target has it.
#[inline(always)]
fn multiply_add(a: f32, b: f32, c: f32) -> f32 {
    if TARGET_FUSES {
        a.mul_add(b, c)
    } else {
        a * b + c
    }
}

/// `c = a · b`, row-major.
///
/// # Panics
/// If the columns of `a` are not as many as the rows of `b`, or `c` does not hold one value per
/// row of `a` and column of `b`, or an operand's memory is too short for its sizes and strides;
/// likewise for the other products.
pub fn matmul(a: Matrix<'_>, b: Matrix<'_>, c: &mut [f32]) {
    let kernels = Kernels::of(Isa::detect());
    run(kernels, a, Right::Matrix(b), c, false, &Epilogue::default());
}

/// `c = c + a · b`, row-major: the chains go on from what `c` holds.
pub fn matmul_add(a: Matrix<'_>, b: Matrix<'_>, c: &mut [f32]) {
    let kernels = Kernels::of(Isa::detect());
    run(kernels, a, Right::Matrix(b), c, true, &Epilogue::default());
}

/// `c = a · b` for a packed `b`; the same bits as [`matmul`].
pub fn matmul_packed(a: Matrix<'_>, b: &PackedMatrix, c: &mut [f32]) {
    let kernels = Kernels::of(Isa::detect());
    run(kernels, a, Right::Packed(b), c, false, &Epilogue::default());
}

/// `c = activation(a · b + bias)`; the same bits as [`matmul`] followed by both.
///
/// # Panics
/// As [`matmul`], and if the bias does not have one value per column of `b`.
pub fn matmul_fused(a: Matrix<'_>, b: Right<'_>, c: &mut [f32], epilogue: &Epilogue<'_>) {
    run(Kernels::of(Isa::detect()), a, b, c, false, epilogue);
}

/// `c = a · b` for some columns of a packed `b`, on this thread alone; rows of `c` are `c_row` apart. The same bits as
/// [`matmul_packed`].
///
/// # Panics
/// As [`matmul`], and if the columns do not begin at a whole panel.
pub(in crate::kernels) fn matmul_panels(
    kernels: &Kernels,
    a: Matrix<'_>,
    b: &PackedMatrix,
    columns: std::ops::Range<usize>,
    c: &mut [f32],
    c_row: usize,
) {
    let (panel, next) = (kernels.panel(), b.rows() * kernels.panel());
    assert_eq!(a.columns, b.rows(), "matmul: columns of a and rows of b");
    assert!(
        columns.start.is_multiple_of(panel) && columns.end <= b.columns(),
        "matmul: columns"
    );
    let end = a.rows.saturating_sub(1) * c_row + columns.len();
    assert!(
        end <= c.len() && columns.len() <= c_row,
        "matmul: length of c"
    );
    let product = Product {
        rows: a.rows,
        columns: columns.len(),
        depth: a.columns,
        a: a.strided(),
        b: RightPart::Panels(&b.panels()[columns.start / panel * next..], next),
        c: SharedMut::new(c),
        c_row,
        add: false,
        epilogue: Epilogue::default(),
        first_column: 0,
    };
    // SAFETY: `strided` checked the left operand's memory, the packed one has whole panels of its rows from
    // `columns` on, `(rows − 1) · c_row + columns ≤ c.len()`, which is borrowed mutably.
    unsafe { block::product(kernels, &product) };
}

/// `c = a · b`, or `c + a · b`, on this thread alone, into memory that others may write to elsewhere; rows of `c` are
/// `c_row` apart.
///
/// # Panics
/// As [`matmul`], and if `c` is too short.
///
/// # Safety
/// Nobody else touches the first `b.columns` elements of these rows meanwhile.
pub(in crate::kernels) unsafe fn matmul_shared(
    kernels: &Kernels,
    a: Matrix<'_>,
    b: Matrix<'_>,
    c: SharedMut<'_>,
    c_row: usize,
    add: bool,
) {
    assert_eq!(a.columns, b.rows, "matmul: columns of a and rows of b");
    let end = a.rows.saturating_sub(1) * c_row + b.columns;
    assert!(end <= c.len() && b.columns <= c_row, "matmul: length of c");
    let product = Product {
        rows: a.rows,
        columns: b.columns,
        depth: a.columns,
        a: a.strided(),
        b: RightPart::InPlace(b.strided()),
        c,
        c_row,
        add,
        epilogue: Epilogue::default(),
        first_column: 0,
    };
    // SAFETY: `strided` checked the operands' memory, `(rows − 1) · c_row + columns ≤ c.len()`, and the elements are the
    // caller's.
    unsafe { block::product(kernels, &product) };
}

/// Checks the sizes and computes.
#[inline]
fn run(
    kernels: &Kernels,
    a: Matrix<'_>,
    b: Right<'_>,
    c: &mut [f32],
    add: bool,
    epilogue: &Epilogue<'_>,
) {
    let columns = b.columns();
    assert_eq!(a.columns, b.rows(), "matmul: columns of a and rows of b");
    assert_eq!(c.len(), a.rows * columns, "matmul: length of c");
    if let Some(bias) = epilogue.bias {
        assert_eq!(bias.len(), columns, "matmul: length of the bias");
    }
    let product = Product {
        rows: a.rows,
        columns,
        depth: a.columns,
        a: a.strided(),
        b: match b {
            Right::Matrix(b) => RightPart::InPlace(b.strided()),
            Right::Packed(b) => RightPart::Panels(b.panels(), b.rows() * kernels.panel()),
        },
        c: SharedMut::new(c),
        c_row: columns,
        add,
        epilogue: *epilogue,
        first_column: 0,
    };
    // SAFETY: `strided` checked the operands' memory, a packed one has whole panels of its rows, `c` is
    // rows · columns long and borrowed mutably.
    unsafe { split::split(kernels, &product) };
}
