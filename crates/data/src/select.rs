//! Taking some samples out of an array.

use regraft_tensor::{Detail, TensorBase};

use crate::{Error, Result};

/// The samples `indices` of `data`, in that order: rows along the first axis, copied.
///
/// ```
/// use ndarray::array;
/// use regraft_data::select_samples;
/// use regraft_tensor::Tensor;
///
/// let x = Tensor::from(array![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
/// assert_eq!(select_samples(&x, &[2, 0])?.as_slice(), [5.0, 6.0, 1.0, 2.0]);
/// # Ok::<(), regraft_data::Error>(())
/// ```
///
/// # Errors
/// [`Error::Data`] if `data` is a scalar or an index is not below the number of samples.
pub fn select_samples<T: Clone>(data: &TensorBase<T>, indices: &[usize]) -> Result<TensorBase<T>> {
    let Some((&samples, rest)) = data.shape().split_first() else {
        return Err(Error::Data(Detail::new(
            "select_samples",
            "samples along the first axis",
            "a scalar",
        )));
    };
    let size: usize = rest.iter().product();
    let values = data.as_slice();
    let mut selected = Vec::with_capacity(indices.len() * size);
    for &index in indices {
        if index >= samples {
            return Err(Error::Data(Detail::new(
                "select_samples",
                format!("indices below the number of samples, {samples}"),
                index,
            )));
        }
        selected.extend_from_slice(&values[index * size..(index + 1) * size]);
    }
    let mut shape = data.shape().to_vec();
    shape[0] = indices.len();
    Ok(TensorBase::new(shape, selected).expect("as many rows were copied as the shape says"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use regraft_tensor::Tensor;

    #[test]
    fn indices_past_the_end_and_scalars_are_errors() {
        let x = Tensor::zeros([2, 3]);
        assert_eq!(select_samples(&x, &[1, 1, 0]).unwrap().shape(), [3, 3]);
        assert_eq!(select_samples(&x, &[]).unwrap().shape(), [0, 3]);
        assert!(select_samples(&x, &[2]).is_err());
        assert!(select_samples(&Tensor::scalar(1.0), &[0]).is_err());
    }
}
