//! The array type: row-major, of any rank, shared until written.

use ndarray::{ArcArray, Array, ArrayBase, ArrayD, ArrayViewD, Data, Dimension, IxDyn};

use crate::{Detail, Error, Result};

/// An n-dimensional array of `f32`: weights, activations, gradients.
pub type Tensor = TensorBase<f32>;

/// An n-dimensional array of `i32`: class labels, token ids.
pub type IntTensor = TensorBase<i32>;

/// A row-major (C order) array of any rank whose clones share memory until one of them is written.
///
/// The elements are always contiguous, so [`as_slice`](Self::as_slice) never fails. Conversion from
/// an `ndarray` array copies only when that array is not in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorBase<T> {
    /// Invariant: in standard layout and without an offset gap, so that `as_slice` is `Some`.
    array: ArcArray<T, IxDyn>,
}

impl<T: Clone> TensorBase<T> {
    /// An array of `shape` over `data` in row-major order.
    ///
    /// # Errors
    /// [`Error::Shape`] if the product of `shape` is not the length of `data`.
    pub fn new(shape: impl AsRef<[usize]>, data: Vec<T>) -> Result<Self> {
        let shape = shape.as_ref();
        let received = data.len();
        match Array::from_shape_vec(IxDyn(shape), data) {
            Ok(array) => Ok(TensorBase {
                array: array.into_shared(),
            }),
            Err(_) => Err(Error::Shape(
                Detail::new(
                    "Tensor::new",
                    format!("as many elements as shape {shape:?} has"),
                    format!("{received} elements"),
                )
                .help("pass one element per cell, the last axis fastest"),
            )),
        }
    }

    /// An array of `shape` with `value` everywhere.
    pub fn full(shape: impl AsRef<[usize]>, value: T) -> Self {
        TensorBase {
            array: ArcArray::from_elem(IxDyn(shape.as_ref()), value),
        }
    }

    /// A rank-0 array that holds `value`.
    pub fn scalar(value: T) -> Self {
        Self::full([], value)
    }

    /// The size of every axis.
    pub fn shape(&self) -> &[usize] {
        self.array.shape()
    }

    /// The number of axes.
    pub fn ndim(&self) -> usize {
        self.array.ndim()
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.array.len()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.array.is_empty()
    }

    /// The elements in row-major order.
    pub fn as_slice(&self) -> &[T] {
        self.array
            .as_slice()
            .expect("a tensor is always contiguous and row-major")
    }

    /// The elements in row-major order, to be written. Copies first if a clone shares the memory.
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        self.array
            .as_slice_mut()
            .expect("a tensor is always contiguous and row-major")
    }

    /// The same elements in another shape.
    ///
    /// # Errors
    /// [`Error::Shape`] if the number of elements differs.
    pub fn reshape(self, shape: impl AsRef<[usize]>) -> Result<Self> {
        let shape = shape.as_ref();
        let received = self.shape().to_vec();
        match self.array.into_shape_with_order(IxDyn(shape)) {
            Ok(array) => Ok(TensorBase { array }),
            Err(_) => Err(Error::Shape(Detail::new(
                "Tensor::reshape",
                format!("a shape with as many elements as {received:?}"),
                format!("{shape:?}"),
            ))),
        }
    }

    /// A borrowed `ndarray` view.
    pub fn view(&self) -> ArrayViewD<'_, T> {
        self.array.view()
    }

    /// An owned `ndarray` array; copies only if a clone shares the memory.
    pub fn into_array(self) -> ArrayD<T> {
        self.array.into_owned()
    }

    /// Whether the two share memory, so that neither can differ from the other.
    pub fn shares_memory_with(&self, other: &Self) -> bool {
        self.array.as_ptr() == other.array.as_ptr() && self.len() == other.len()
    }
}

impl<T: Clone + Default> TensorBase<T> {
    /// An array of `shape` with zero (the type's default) everywhere.
    pub fn zeros(shape: impl AsRef<[usize]>) -> Self {
        Self::full(shape, T::default())
    }
}

impl<T: Clone, S: Data<Elem = T>, D: Dimension> From<&ArrayBase<S, D>> for TensorBase<T> {
    /// Copies a borrowed array.
    fn from(array: &ArrayBase<S, D>) -> Self {
        array.to_owned().into()
    }
}

impl<T: Clone, D: Dimension> From<Array<T, D>> for TensorBase<T> {
    /// Takes an array over; copies only if it is not in row-major order.
    fn from(array: Array<T, D>) -> Self {
        let array = array.into_dyn();
        let array = if array.is_standard_layout() {
            array
        } else {
            array.as_standard_layout().into_owned()
        };
        TensorBase {
            array: array.into_shared(),
        }
    }
}

impl<T: Clone> From<TensorBase<T>> for ArrayD<T> {
    fn from(tensor: TensorBase<T>) -> Self {
        tensor.into_array()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn a_transposed_array_arrives_in_row_major_order() {
        let tensor = Tensor::from(array![[1.0, 2.0], [3.0, 4.0]].reversed_axes());
        assert_eq!(tensor.as_slice(), [1.0, 3.0, 2.0, 4.0]);
    }

    #[test]
    fn writing_one_clone_leaves_the_other() {
        let first = Tensor::zeros([2]);
        let mut second = first.clone();
        assert!(first.shares_memory_with(&second));
        second.as_mut_slice()[0] = 1.0;
        assert_eq!(first.as_slice(), [0.0, 0.0]);
        assert!(!first.shares_memory_with(&second));
    }

    #[test]
    fn a_wrong_length_says_both() {
        let error = Tensor::new([2, 3], vec![0.0; 5]).unwrap_err().to_string();
        assert!(error.contains("[2, 3]") && error.contains('5'), "{error}");
    }
}
