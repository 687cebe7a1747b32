//! Sums, means, extremes and softmax.

use super::axes;
use crate::kernels::{reduce, softmax};
use crate::{Detail, Error, IntTensor, Result, Tensor};

/// A reduction kernel.
type Reduction = fn(&[f32], &[usize], &[usize], &mut [f32]);

impl Tensor {
    fn reduced(&self, name: &str, over: &[isize], keep: bool, kernel: Reduction) -> Result<Tensor> {
        let axes = axes(name, over, self.shape())?;
        let mut shape = Vec::with_capacity(self.ndim());
        for (axis, &size) in self.shape().iter().enumerate() {
            if !axes.contains(&axis) {
                shape.push(size);
            } else if keep {
                shape.push(1);
            }
        }
        let mut out = Tensor::zeros(shape);
        kernel(self.as_slice(), self.shape(), &axes, out.as_mut_slice());
        Ok(out)
    }

    /// The sum over `axes` (negative ones count from the end), which stay with size 1 if `keep`.
    ///
    /// ```
    /// use ndarray::array;
    /// use regraft_tensor::Tensor;
    ///
    /// let x = Tensor::from(array![[1.0, 2.0], [3.0, 4.0]]);
    /// assert_eq!(x.sum(&[0], false)?.as_slice(), [4.0, 6.0]);
    /// assert_eq!(x.sum(&[-1], true)?.shape(), [2, 1]);
    /// # Ok::<(), regraft_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Shape`] if an axis does not exist or is named twice; likewise below.
    pub fn sum(&self, axes: &[isize], keep: bool) -> Result<Tensor> {
        self.reduced("Tensor::sum", axes, keep, reduce::sum)
    }

    /// The arithmetic mean over `axes`; see [`sum`](Self::sum).
    ///
    /// # Errors
    /// As [`sum`](Self::sum).
    pub fn mean(&self, axes: &[isize], keep: bool) -> Result<Tensor> {
        self.reduced("Tensor::mean", axes, keep, reduce::mean)
    }

    /// The population variance `mean((x − mean(x))²)` over `axes`; see [`sum`](Self::sum).
    ///
    /// # Errors
    /// As [`sum`](Self::sum).
    pub fn variance(&self, axes: &[isize], keep: bool) -> Result<Tensor> {
        self.reduced("Tensor::variance", axes, keep, reduce::variance)
    }

    /// The largest value over `axes`, NaN where any is; see [`sum`](Self::sum).
    ///
    /// # Errors
    /// As [`sum`](Self::sum).
    pub fn max(&self, axes: &[isize], keep: bool) -> Result<Tensor> {
        self.reduced("Tensor::max", axes, keep, reduce::max)
    }

    /// The smallest value over `axes`, NaN where any is; see [`sum`](Self::sum).
    ///
    /// # Errors
    /// As [`sum`](Self::sum).
    pub fn min(&self, axes: &[isize], keep: bool) -> Result<Tensor> {
        self.reduced("Tensor::min", axes, keep, reduce::min)
    }

    /// The index along `axis` of the largest value, the first of equals.
    ///
    /// # Errors
    /// [`Error::Shape`] if the axis does not exist or has no elements.
    pub fn argmax(&self, axis: isize) -> Result<IntTensor> {
        let axis = axes("Tensor::argmax", &[axis], self.shape())?[0];
        if self.shape()[axis] == 0 {
            return Err(Error::Shape(Detail::new(
                "Tensor::argmax",
                "an axis with elements",
                format!("axis {axis} of {:?}", self.shape()),
            )));
        }
        let mut shape = self.shape().to_vec();
        shape.remove(axis);
        let mut out = IntTensor::zeros(shape);
        reduce::argmax(self.as_slice(), self.shape(), axis, out.as_mut_slice());
        Ok(out)
    }

    /// The size of the last axis.
    fn columns(&self, operation: &str) -> Result<usize> {
        self.shape()
            .last()
            .copied()
            .ok_or_else(|| Error::Shape(Detail::new(operation, "at least one axis", "a scalar")))
    }

    /// `exp(x) / Σ exp(x)` over the last axis.
    ///
    /// # Errors
    /// [`Error::Shape`] for a scalar; likewise below.
    pub fn softmax(&self) -> Result<Tensor> {
        let columns = self.columns("Tensor::softmax")?;
        let mut out = Tensor::zeros(self.shape());
        softmax::softmax(self.as_slice(), columns, out.as_mut_slice());
        Ok(out)
    }

    /// The logarithm of [`softmax`](Self::softmax), without its underflow.
    ///
    /// # Errors
    /// As [`softmax`](Self::softmax).
    pub fn log_softmax(&self) -> Result<Tensor> {
        let columns = self.columns("Tensor::log_softmax")?;
        let mut out = Tensor::zeros(self.shape());
        softmax::log_softmax(self.as_slice(), columns, out.as_mut_slice());
        Ok(out)
    }

    /// `ln Σ exp(x)` over the last axis, which is dropped.
    ///
    /// # Errors
    /// As [`softmax`](Self::softmax).
    pub fn log_sum_exp(&self) -> Result<Tensor> {
        let columns = self.columns("Tensor::log_sum_exp")?;
        let mut out = Tensor::zeros(&self.shape()[..self.ndim() - 1]);
        softmax::log_sum_exp(self.as_slice(), columns, out.as_mut_slice());
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn axes_are_kept_or_dropped() {
        let x = Tensor::from(array![[1.0, 5.0, 3.0], [4.0, 2.0, 9.0]]);
        assert_eq!(
            x.max(&[-1], true).unwrap(),
            Tensor::from(array![[5.0], [9.0]])
        );
        assert_eq!(
            x.min(&[0], false).unwrap(),
            Tensor::from(array![1.0, 2.0, 3.0])
        );
        assert_eq!(x.mean(&[0, 1], false).unwrap(), Tensor::scalar(4.0));
        assert_eq!(
            x.variance(&[1], false).unwrap().as_slice(),
            [8.0 / 3.0, 26.0 / 3.0]
        );
        assert_eq!(x.argmax(1).unwrap().as_slice(), [1, 2]);
        assert_eq!(x.argmax(-2).unwrap().as_slice(), [1, 0, 1]);
    }

    #[test]
    fn axes_that_are_not_there_are_errors() {
        let x = Tensor::zeros([2, 0]);
        for axes in [&[2][..], &[-3], &[0, -2]] {
            assert!(x.sum(axes, false).is_err(), "{axes:?}");
        }
        assert!(x.argmax(1).is_err() && Tensor::scalar(1.0).softmax().is_err());
        assert_eq!(x.sum(&[1], false).unwrap().as_slice(), [0.0, 0.0]);
    }

    #[test]
    fn softmax_adds_up_to_one() {
        let x = Tensor::from(array![[1.0, 2.0, 3.0], [-1.0, 0.0, 800.0]]);
        let sums = x.softmax().unwrap().sum(&[-1], false).unwrap();
        assert!(sums.as_slice().iter().all(|sum| (sum - 1.0).abs() < 1e-6));
        let from_logs = x.log_softmax().unwrap().map(f32::exp);
        let difference = from_logs.sub(&x.softmax().unwrap()).unwrap();
        assert!(difference.as_slice().iter().all(|d| d.abs() < 1e-6));
        assert_eq!(x.log_sum_exp().unwrap().shape(), [2]);
    }
}
