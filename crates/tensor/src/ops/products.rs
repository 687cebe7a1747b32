//! Matrix products and transposition.

use crate::kernels::layout;
use crate::kernels::matmul::{Matrix, matmul, matmul_batched};
use crate::{Detail, Error, Result, Tensor, TensorBase};

impl Tensor {
    /// The matrix product over the last two axes, as NumPy's `matmul`: `[…, m, k] · […, k, n]`
    /// gives `[…, m, n]`. Leading axes must be equal, or one of the operands a plain matrix.
    ///
    /// ```
    /// use ndarray::array;
    /// use regraft_tensor::Tensor;
    ///
    /// let a = Tensor::from(array![[1.0, 2.0], [3.0, 4.0]]);
    /// let b = Tensor::from(array![[1.0], [10.0]]);
    /// assert_eq!(a.matmul(&b)?, Tensor::from(array![[21.0], [43.0]]));
    /// # Ok::<(), regraft_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Shape`] if an operand has fewer than two axes, or the sizes do not fit.
    pub fn matmul(&self, other: &Tensor) -> Result<Tensor> {
        let (&[ref left @ .., m, k], &[ref right @ .., inner, n]) = (self.shape(), other.shape())
        else {
            return Err(Error::Shape(
                Detail::new(
                    "Tensor::matmul",
                    "two operands of at least two axes",
                    format!("{:?} and {:?}", self.shape(), other.shape()),
                )
                .help("reshape a vector to one row or one column"),
            ));
        };
        if k != inner || !(left == right || left.is_empty() || right.is_empty()) {
            return Err(Error::Shape(
                Detail::new(
                    "Tensor::matmul",
                    format!(
                        "a right operand with {k} rows for the left {:?}",
                        self.shape()
                    ),
                    format!("{:?}", other.shape()),
                )
                .help("leading axes must be equal, or one operand a plain matrix"),
            ));
        }
        let leading = if left.is_empty() { right } else { left };
        let mut shape = leading.to_vec();
        shape.extend([m, n]);
        let mut out = Tensor::zeros(&shape);
        if out.is_empty() {
            return Ok(out);
        }
        let c = out.as_mut_slice();
        let b = Matrix::new(other.as_slice(), k, n);
        if right.is_empty() {
            // The rows of all left matrices, one after the other, are one tall matrix.
            let rows = c.len() / n;
            matmul(Matrix::new(self.as_slice(), rows, k), b, c);
        } else {
            let a = Matrix::new(self.as_slice(), m, k);
            let a_stride = if left.is_empty() { 0 } else { m * k };
            matmul_batched(c.len() / (m * n), a, a_stride, b, k * n, c);
        }
        Ok(out)
    }
}

impl<T: Copy + Default + Send + Sync> TensorBase<T> {
    /// All axes in reverse order, as NumPy's `transpose`: of a matrix, rows and columns exchanged.
    #[must_use]
    pub fn transpose(&self) -> Self {
        let axes: Vec<usize> = (0..self.ndim()).rev().collect();
        self.permuted(&axes)
    }

    /// Axis `i` of the result is axis `axes[i]` of this tensor, as NumPy's `transpose(axes)`.
    ///
    /// # Errors
    /// [`Error::Shape`] if `axes` does not name every axis once.
    pub fn permute(&self, axes: &[usize]) -> Result<Self> {
        let mut sorted = axes.to_vec();
        sorted.sort_unstable();
        if sorted.iter().copied().eq(0..self.ndim()) {
            return Ok(self.permuted(axes));
        }
        Err(Error::Shape(Detail::new(
            "Tensor::permute",
            format!("every axis of {:?} once", self.shape()),
            format!("{axes:?}"),
        )))
    }

    fn permuted(&self, axes: &[usize]) -> Self {
        let shape: Vec<usize> = axes.iter().map(|&axis| self.shape()[axis]).collect();
        let mut out = Self::zeros(shape);
        layout::permute(self.as_slice(), self.shape(), axes, out.as_mut_slice());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(shape: &[usize]) -> Tensor {
        let length = shape.iter().product::<usize>();
        Tensor::new(shape, (0..length).map(|i| i as f32).collect()).unwrap()
    }

    #[test]
    fn stacks_multiply_matrix_by_matrix() {
        let (a, b) = (counted(&[2, 3, 4]), counted(&[2, 4, 5]));
        let product = a.matmul(&b).unwrap();
        assert_eq!(product.shape(), [2, 3, 5]);
        let matrix = counted(&[4, 5]);
        assert_eq!(
            a.matmul(&matrix).unwrap().as_slice()[..15],
            product.as_slice()[..15]
        );
        let matrix = counted(&[3, 4]);
        assert_eq!(
            matrix.matmul(&b).unwrap().as_slice()[..15],
            product.as_slice()[..15]
        );
        let expected = b.view().into_dimensionality::<ndarray::Ix3>().unwrap();
        let expected = a
            .view()
            .into_dimensionality::<ndarray::Ix3>()
            .unwrap()
            .index_axis(ndarray::Axis(0), 1)
            .dot(&expected.index_axis(ndarray::Axis(0), 1));
        assert_eq!(product.as_slice()[15..], *expected.as_slice().unwrap());
    }

    #[test]
    fn sizes_that_do_not_fit_are_errors() {
        assert!(counted(&[2, 3]).matmul(&counted(&[2, 3])).is_err());
        assert!(counted(&[3]).matmul(&counted(&[3, 2])).is_err());
        assert!(counted(&[2, 2, 3]).matmul(&counted(&[4, 3, 2])).is_err());
        assert_eq!(
            counted(&[0, 3]).matmul(&counted(&[3, 2])).unwrap().shape(),
            [0, 2]
        );
        assert_eq!(
            counted(&[2, 0])
                .matmul(&counted(&[0, 2]))
                .unwrap()
                .as_slice(),
            [0.0; 4]
        );
    }

    #[test]
    fn axes_move_where_they_are_told() {
        let a = counted(&[2, 3, 4]);
        assert_eq!(a.transpose().shape(), [4, 3, 2]);
        let moved = a.permute(&[1, 0, 2]).unwrap();
        assert_eq!(moved.shape(), [3, 2, 4]);
        assert_eq!(moved.as_slice()[4..8], [12.0, 13.0, 14.0, 15.0]);
        assert!(a.permute(&[0, 1]).is_err() && a.permute(&[0, 1, 1]).is_err());
    }
}
