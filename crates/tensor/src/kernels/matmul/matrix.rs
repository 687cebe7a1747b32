//! The operands of a matrix product.

/// A borrowed matrix: element `(i, j)` is `data[i * row_stride + j * column_stride]`.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    /// The memory, from element `(0, 0)` on.
    pub data: &'a [f32],
    /// The number of rows.
    pub rows: usize,
    /// The number of columns.
    pub columns: usize,
    /// How far the next row is.
    pub row_stride: usize,
    /// How far the next column is.
    pub column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// A row-major matrix without gaps.
    ///
    /// # Panics
    /// If `data` is shorter than `rows * columns`.
    #[inline]
    pub fn new(data: &'a [f32], rows: usize, columns: usize) -> Self {
        assert!(data.len() >= rows * columns, "matrix: data is too short");
        Matrix {
            data,
            rows,
            columns,
            row_stride: columns,
            column_stride: 1,
        }
    }

    /// The transpose, over the same memory.
    #[inline]
    #[must_use]
    pub fn transposed(self) -> Self {
        Matrix {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// Element `(row, column)`.
    ///
    /// # Panics
    /// If it lies outside the memory.
    #[inline]
    pub fn get(&self, row: usize, column: usize) -> f32 {
        self.data[row * self.row_stride + column * self.column_stride]
    }
}

/// A matrix copied once into the order in which the kernel reads it, for a right operand that
/// stays: the weights of a frozen layer.
#[derive(Clone, Debug)]
pub struct PackedMatrix {
    data: Vec<f32>,
    rows: usize,
    columns: usize,
}

impl PackedMatrix {
    /// Packs `b`.
    pub fn new(b: Matrix<'_>) -> Self {
        let data = (0..b.rows * b.columns)
            .map(|i| b.get(i / b.columns, i % b.columns))
            .collect();
        PackedMatrix {
            data,
            rows: b.rows,
            columns: b.columns,
        }
    }

    pub(super) fn view(&self) -> Matrix<'_> {
        Matrix::new(&self.data, self.rows, self.columns)
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
