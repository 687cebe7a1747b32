//! Rows by index, and one-hot vectors.

use crate::kernels::gather;
use crate::{Detail, Error, IntTensor, Result, Tensor};

impl Tensor {
    /// `out[i…] = self[indices[i…]]` along the first axis, as an embedding looks its rows up: the
    /// result has the shape of `indices` followed by that of a row.
    ///
    /// # Errors
    /// [`Error::Shape`] for a scalar, [`Error::Index`] if an index is out of range.
    pub fn gather(&self, indices: &IntTensor) -> Result<Tensor> {
        let Some((_, row)) = self.shape().split_first() else {
            return Err(Error::Shape(Detail::new(
                "Tensor::gather",
                "at least one axis",
                "a scalar",
            )));
        };
        let shape = [indices.shape(), row].concat();
        let columns = row.iter().product();
        let mut out = Tensor::zeros(shape);
        gather::take_rows(
            self.as_slice(),
            columns,
            indices.as_slice(),
            out.as_mut_slice(),
        )?;
        Ok(out)
    }
}

impl IntTensor {
    /// A new last axis of size `classes` with 1 at the index and 0 elsewhere.
    ///
    /// ```
    /// use regraft_tensor::IntTensor;
    ///
    /// let labels = IntTensor::new([2], vec![2, 0])?;
    /// assert_eq!(labels.one_hot(3)?.as_slice(), [0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
    /// # Ok::<(), regraft_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Index`] if an index is negative or not below `classes`.
    pub fn one_hot(&self, classes: usize) -> Result<Tensor> {
        let mut out = Tensor::zeros([self.shape(), &[classes]].concat());
        gather::one_hot(self.as_slice(), classes, out.as_mut_slice())?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn rows_are_looked_up_for_indices_of_any_shape() {
        let table = Tensor::from(array![[0.0, 1.0], [10.0, 11.0], [20.0, 21.0]]);
        let indices = IntTensor::from(array![[2, 0], [1, 1]]);
        let rows = table.gather(&indices).unwrap();
        assert_eq!(rows.shape(), [2, 2, 2]);
        assert_eq!(
            rows.as_slice(),
            [20.0, 21.0, 0.0, 1.0, 10.0, 11.0, 10.0, 11.0]
        );
        assert!(table.gather(&IntTensor::scalar(3)).is_err());
        assert!(Tensor::scalar(0.0).gather(&indices).is_err());
    }
}
