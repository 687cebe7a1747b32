//! Matrices as they lie in memory.

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

    /// The matrix without its sizes, after a check that every element lies in the memory.
    #[inline]
    pub(super) fn strided(&self) -> Strided<'a> {
        if self.rows > 0 && self.columns > 0 {
            let row = (self.rows - 1).checked_mul(self.row_stride);
            let column = (self.columns - 1).checked_mul(self.column_stride);
            let last = row
                .zip(column)
                .and_then(|(row, column)| row.checked_add(column));
            assert!(
                last.is_some_and(|last| last < self.data.len()),
                "matrix: data is too short for its sizes and strides"
            );
        }
        Strided {
            data: self.data,
            row_stride: self.row_stride,
            column_stride: self.column_stride,
        }
    }
}

/// Element `(i, j)` is `data[i * row_stride + j * column_stride]`; whoever holds one knows the sizes.
#[derive(Clone, Copy)]
pub(in crate::kernels) struct Strided<'a> {
    pub data: &'a [f32],
    pub row_stride: usize,
    pub column_stride: usize,
}

impl Strided<'_> {
    /// The matrix from element `(row, column)` on.
    ///
    /// # Panics
    /// If that lies outside the memory.
    #[inline(always)]
    pub fn at(self, row: usize, column: usize) -> Self {
        Strided {
            data: &self.data[row * self.row_stride + column * self.column_stride..],
            ..self
        }
    }

    /// The transpose, over the same memory.
    pub fn transposed(self) -> Self {
        Strided {
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}
