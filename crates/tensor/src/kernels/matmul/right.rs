//! The right operand of a matrix product: as it lies, or packed before.

use super::matrix::Matrix;
use super::pack::pack_right;
use super::tile::Kernels;
use crate::kernels::isa::Isa;

/// A matrix copied once into the order in which the kernel reads it, for a right operand that
/// stays: the weights of a frozen layer.
///
/// The order depends on the machine, so a packed matrix is kept in memory only.
#[derive(Clone, Debug)]
pub struct PackedMatrix {
    /// Panels of two vectors' width, the last filled up with zeros: `panel[row][column]`.
    data: Vec<f32>,
    rows: usize,
    columns: usize,
}

impl PackedMatrix {
    /// Packs `b`.
    ///
    /// # Panics
    /// If `b`'s memory is too short for its sizes and strides.
    pub fn new(b: Matrix<'_>) -> Self {
        Self::for_kernels(Kernels::of(Isa::detect()), b)
    }

    pub(super) fn for_kernels(kernels: &Kernels, b: Matrix<'_>) -> Self {
        let panel = kernels.panel();
        let mut data = vec![0.0; b.rows * b.columns.next_multiple_of(panel)];
        pack_right(b.strided(), b.rows, b.columns, panel, &mut data);
        PackedMatrix {
            data,
            rows: b.rows,
            columns: b.columns,
        }
    }

    /// The number of elements in memory, the last panel's filling included.
    pub fn elements(&self) -> usize {
        self.data.len()
    }

    /// The panels, one after the other.
    pub fn panels(&self) -> &[f32] {
        &self.data
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }
}

/// The right operand of a product: as it lies, or packed.
#[derive(Clone, Copy, Debug)]
pub enum Right<'a> {
    /// As it lies.
    Matrix(Matrix<'a>),
    /// Packed before.
    Packed(&'a PackedMatrix),
}

impl Right<'_> {
    /// The number of rows.
    pub fn rows(&self) -> usize {
        match self {
            Right::Matrix(matrix) => matrix.rows,
            Right::Packed(matrix) => matrix.rows(),
        }
    }

    /// The number of columns.
    pub fn columns(&self) -> usize {
        match self {
            Right::Matrix(matrix) => matrix.columns,
            Right::Packed(matrix) => matrix.columns(),
        }
    }
}

impl<'a> From<Matrix<'a>> for Right<'a> {
    fn from(matrix: Matrix<'a>) -> Self {
        Right::Matrix(matrix)
    }
}

impl<'a> From<&'a PackedMatrix> for Right<'a> {
    fn from(matrix: &'a PackedMatrix) -> Self {
        Right::Packed(matrix)
    }
}
