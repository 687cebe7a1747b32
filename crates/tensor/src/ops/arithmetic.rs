//! Element by element, with NumPy's broadcasting.

use crate::kernels::{broadcast, elementwise};
use crate::{Detail, Error, Result, Tensor};

impl Tensor {
    /// `f` of every element.
    #[must_use]
    pub fn map(&self, f: impl Fn(f32) -> f32 + Sync + Copy) -> Tensor {
        let mut out = Tensor::zeros(self.shape());
        elementwise::map(self.as_slice(), out.as_mut_slice(), f);
        out
    }

    /// Replaces every element by `f` of it. Copies first if a clone shares the memory.
    pub fn map_in_place(&mut self, f: impl Fn(f32) -> f32 + Sync + Copy) {
        elementwise::map_in_place(self.as_mut_slice(), f);
    }

    /// `f` of the elements of both, each broadcast to the other's shape.
    ///
    /// # Errors
    /// [`Error::Shape`] if the shapes do not broadcast; likewise for the operations below.
    pub fn zip(&self, other: &Tensor, f: impl Fn(f32, f32) -> f32 + Sync + Copy) -> Result<Tensor> {
        let shape = broadcast::shape(self.shape(), other.shape())?;
        let mut out = Tensor::zeros(&shape);
        broadcast::binary(
            self.as_slice(),
            self.shape(),
            other.as_slice(),
            other.shape(),
            out.as_mut_slice(),
            &shape,
            f,
        );
        Ok(out)
    }

    /// Replaces every element by `f` of it and the other's, which is broadcast to this shape.
    ///
    /// # Errors
    /// [`Error::Shape`] if the other does not broadcast to this shape.
    pub fn zip_in_place(
        &mut self,
        other: &Tensor,
        f: impl Fn(f32, f32) -> f32 + Sync + Copy,
    ) -> Result<()> {
        if self.shape() == other.shape() {
            elementwise::zip_in_place(self.as_mut_slice(), other.as_slice(), f);
            return Ok(());
        }
        if broadcast::shape(self.shape(), other.shape())? != self.shape() {
            return Err(Error::Shape(
                Detail::new(
                    "in-place arithmetic",
                    format!("a shape that broadcasts to {:?}", self.shape()),
                    format!("{:?}", other.shape()),
                )
                .help("use the method that returns a new tensor if the shape may grow"),
            ));
        }
        *self = self.zip(other, f)?;
        Ok(())
    }

    /// `self + other`, with broadcasting.
    ///
    /// ```
    /// use regraft_tensor::Tensor;
    ///
    /// let matrix = Tensor::new([2, 2], vec![1.0, 2.0, 3.0, 4.0])?;
    /// let row = Tensor::new([2], vec![10.0, 20.0])?;
    /// assert_eq!(matrix.add(&row)?.as_slice(), [11.0, 22.0, 13.0, 24.0]);
    /// # Ok::<(), regraft_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`zip`](Self::zip).
    pub fn add(&self, other: &Tensor) -> Result<Tensor> {
        self.zip(other, |a, b| a + b)
    }

    /// `self − other`, with broadcasting.
    ///
    /// # Errors
    /// As [`zip`](Self::zip).
    pub fn sub(&self, other: &Tensor) -> Result<Tensor> {
        self.zip(other, |a, b| a - b)
    }

    /// `self · other` element by element, with broadcasting.
    ///
    /// # Errors
    /// As [`zip`](Self::zip).
    pub fn mul(&self, other: &Tensor) -> Result<Tensor> {
        self.zip(other, |a, b| a * b)
    }

    /// `self / other` element by element, with broadcasting.
    ///
    /// # Errors
    /// As [`zip`](Self::zip).
    pub fn div(&self, other: &Tensor) -> Result<Tensor> {
        self.zip(other, |a, b| a / b)
    }

    /// `self = self + other`, with `other` broadcast to this shape.
    ///
    /// # Errors
    /// As [`zip_in_place`](Self::zip_in_place).
    pub fn add_assign(&mut self, other: &Tensor) -> Result<()> {
        self.zip_in_place(other, |a, b| a + b)
    }

    /// `self = self − other`, with `other` broadcast to this shape.
    ///
    /// # Errors
    /// As [`zip_in_place`](Self::zip_in_place).
    pub fn sub_assign(&mut self, other: &Tensor) -> Result<()> {
        self.zip_in_place(other, |a, b| a - b)
    }

    /// `self = self · other`, with `other` broadcast to this shape.
    ///
    /// # Errors
    /// As [`zip_in_place`](Self::zip_in_place).
    pub fn mul_assign(&mut self, other: &Tensor) -> Result<()> {
        self.zip_in_place(other, |a, b| a * b)
    }

    /// `self = self / other`, with `other` broadcast to this shape.
    ///
    /// # Errors
    /// As [`zip_in_place`](Self::zip_in_place).
    pub fn div_assign(&mut self, other: &Tensor) -> Result<()> {
        self.zip_in_place(other, |a, b| a / b)
    }

    /// The elements repeated to `shape`, as NumPy's `broadcast_to`.
    ///
    /// # Errors
    /// [`Error::Shape`] if this shape does not broadcast to `shape`.
    pub fn broadcast_to(&self, shape: impl AsRef<[usize]>) -> Result<Tensor> {
        let shape = shape.as_ref();
        if broadcast::shape(self.shape(), shape).is_ok_and(|result| result == shape) {
            let mut out = Tensor::zeros(shape);
            broadcast::broadcast_to(self.as_slice(), self.shape(), out.as_mut_slice(), shape);
            return Ok(out);
        }
        Err(Error::Shape(Detail::new(
            "Tensor::broadcast_to",
            format!("a shape that {:?} broadcasts to", self.shape()),
            format!("{shape:?}"),
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn operations_broadcast_and_divide_in_order() {
        let a = Tensor::from(array![[8.0, 6.0], [4.0, 2.0]]);
        let column = Tensor::from(array![[2.0], [4.0]]);
        assert_eq!(
            a.div(&column).unwrap(),
            Tensor::from(array![[4.0, 3.0], [1.0, 0.5]])
        );
        assert_eq!(
            column.sub(&a).unwrap(),
            Tensor::from(array![[-6.0, -4.0], [0.0, 2.0]])
        );
        assert_eq!(
            a.mul(&Tensor::scalar(0.5)).unwrap().as_slice(),
            [4.0, 3.0, 2.0, 1.0]
        );
    }

    #[test]
    fn in_place_changes_no_clone_and_no_shape() {
        let mut a = Tensor::from(array![[1.0, 2.0], [3.0, 4.0]]);
        let before = a.clone();
        a.add_assign(&Tensor::from(array![10.0, 20.0])).unwrap();
        a.sub_assign(&before).unwrap();
        assert_eq!(a.as_slice(), [10.0, 20.0, 10.0, 20.0]);
        assert_eq!(before.as_slice(), [1.0, 2.0, 3.0, 4.0]);
        let error = a
            .mul_assign(&Tensor::zeros([3, 2, 2]))
            .unwrap_err()
            .to_string();
        assert!(error.contains("[3, 2, 2]"), "{error}");
        assert!(a.div_assign(&Tensor::zeros([3])).is_err());
    }

    #[test]
    fn repeating_needs_a_shape_that_fits() {
        let row = Tensor::from(array![1.0, 2.0]);
        assert_eq!(
            row.broadcast_to([2, 2]).unwrap().as_slice(),
            [1.0, 2.0, 1.0, 2.0]
        );
        assert!(row.broadcast_to([3]).is_err() && row.broadcast_to([1]).is_err());
    }
}
