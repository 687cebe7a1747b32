//! Storages and the tensors that are views of them: offset, shape and strides, counted in elements.

use crate::input::Input;
use crate::{DataType, Error, Result, TensorData};

/// No more axes than PyTorch's tensors can have.
pub(super) const MOST_AXES: usize = 64;

/// A strided view is copied out of memory if this many times its own size spans it, else read piece
/// by piece.
const MOST_SPAN: u64 = 4;

/// A storage, or in old files a window of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct StorageView {
    /// Which of the heap's storages.
    pub(super) number: u32,
    /// `None`: bytes of no type.
    pub(super) data_type: Option<DataType>,
    /// The window's first byte and its length in bytes.
    pub(super) start: u64,
    pub(super) length: u64,
}

/// A tensor as the pickle describes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct TensorView {
    pub(super) storage: StorageView,
    pub(super) data_type: DataType,
    /// The first element.
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
}

impl TensorView {
    /// How many bytes the tensor takes by itself, once it is known that its storage has its elements.
    pub(super) fn checked_length(&self) -> Result<u64> {
        // With the empty axes left out, too: no product of axes may overflow.
        let axes = self.shape.iter().map(|&axis| axis.max(1));
        let size = self.data_type.size();
        let length = axes
            .into_iter()
            .try_fold(size, |product, axis| product.checked_mul(axis));
        let Some(length) = length.filter(|&length| isize::try_from(length).is_ok()) else {
            let received = format!("shape {:?}", self.shape);
            return Err(Error::limit("", "a tensor that fits into memory", received));
        };
        if self.is_empty() {
            return Ok(0);
        }
        let end = self.last().and_then(|last| last.checked_add(1));
        let elements = self.storage.length / size as u64;
        if end.is_none_or(|end| end > elements) {
            return Err(Error::format(
                "",
                format!("a view within the {elements} elements of its storage"),
                format!(
                    "shape {:?} with strides {:?} from element {} on",
                    self.shape, self.strides, self.offset
                ),
            ));
        }
        Ok(length as u64)
    }

    /// The tensor's values out of `storage`, the whole one.
    ///
    /// [`checked_length`](Self::checked_length) has been called.
    pub(super) fn read(&self, storage: &Input) -> Result<TensorData> {
        let size = self.data_type.size();
        let unreadable = |error: std::io::Error| Error::format("", "readable values", error);
        TensorData::read_with(self.data_type, self.shape.clone(), |buffer| {
            if buffer.is_empty() {
                return Ok(());
            }
            let start = self.storage.start + (self.offset * size) as u64;
            if self.is_contiguous() {
                return storage.read_at(start, buffer).map_err(unreadable);
            }
            let span = self.last().unwrap_or(0) - self.offset as u64 + 1;
            if span <= MOST_SPAN * (buffer.len() / size) as u64 {
                let mut source = vec![0; span as usize * size];
                storage.read_at(start, &mut source).map_err(unreadable)?;
                self.gather(buffer, |element, target| {
                    let from = element * size;
                    target.copy_from_slice(&source[from..from + size]);
                    Ok(())
                })
            } else {
                self.gather(buffer, |element, target| {
                    let from = start + (element * size) as u64;
                    storage.read_at(from, target).map_err(unreadable)
                })
            }
        })
    }

    /// Fills `buffer` in row-major order by asking for every element, counted from the first one.
    fn gather(
        &self,
        buffer: &mut [u8],
        mut fetch: impl FnMut(usize, &mut [u8]) -> Result<()>,
    ) -> Result<()> {
        let mut index = vec![0; self.shape.len()];
        let mut element = 0usize;
        for target in buffer.chunks_exact_mut(self.data_type.size()) {
            fetch(element, target)?;
            for axis in (0..index.len()).rev() {
                let stride = self.strides[axis];
                index[axis] += 1;
                // An axis of length one may have any stride, and is left at once.
                element = element.wrapping_add(stride);
                if index[axis] < self.shape[axis] {
                    break;
                }
                element = element.wrapping_sub(stride.wrapping_mul(index[axis]));
                index[axis] = 0;
            }
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.shape.contains(&0)
    }

    /// The last element in the storage, unless that overflows. The tensor is not empty.
    fn last(&self) -> Option<u64> {
        let mut axes = self.shape.iter().zip(&self.strides);
        axes.try_fold(self.offset as u64, |last, (&axis, &stride)| {
            let reach = (axis as u64 - 1).checked_mul(stride as u64)?;
            last.checked_add(reach)
        })
    }

    fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        let axes = self.shape.iter().zip(&self.strides).rev();
        axes.into_iter().all(|(&axis, &stride)| {
            let fits = axis == 1 || stride == expected;
            expected *= axis;
            fits
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(offset: usize, shape: &[usize], strides: &[usize]) -> TensorView {
        TensorView {
            storage: StorageView {
                number: 0,
                data_type: Some(DataType::U8),
                start: 0,
                length: 100,
            },
            data_type: DataType::U8,
            offset,
            shape: shape.to_vec(),
            strides: strides.to_vec(),
        }
    }

    fn values(view: &TensorView) -> Vec<u8> {
        let storage = Input::memory((0..100).collect());
        view.checked_length().unwrap();
        view.read(&storage).unwrap().bytes().to_vec()
    }

    #[test]
    fn strides_are_followed() {
        assert_eq!(values(&view(5, &[2, 2], &[2, 1])), [5, 6, 7, 8]);
        assert_eq!(values(&view(0, &[3, 2], &[1, 3])), [0, 3, 1, 4, 2, 5]);
        assert_eq!(values(&view(9, &[3], &[0])), [9, 9, 9]);
        // Far apart, so read piece by piece; and an axis of length one with a senseless stride.
        assert_eq!(values(&view(1, &[2, 1], &[98, usize::MAX])), [1, 99]);
        assert_eq!(values(&view(7, &[], &[])), [7]);
        assert!(values(&view(usize::MAX, &[0, 4], &[4, 1])).is_empty());
    }

    #[test]
    fn what_is_not_in_the_storage_is_an_error() {
        for (offset, shape, strides) in [
            (98, &[3][..], &[1][..]),
            (0, &[2, 2], &[99, 1]),
            (100, &[], &[]),
            (usize::MAX, &[2], &[1]),
            (0, &[3], &[usize::MAX]),
        ] {
            let error = view(offset, shape, strides).checked_length().unwrap_err();
            assert!(matches!(error, Error::Format(_)), "{error}");
        }
        for shape in [&[usize::MAX, 2][..], &[0, usize::MAX, 2]] {
            let error = view(0, shape, &[0, 0, 0][..shape.len()])
                .checked_length()
                .unwrap_err();
            assert!(matches!(error, Error::Limit(_)), "{error}");
        }
    }
}
