//! What an idx file holds: an array of one of six element types.

use ndarray::{ArrayD, IxDyn};
use regraft_tensor::{Detail, Tensor};

use super::IdxType;
use crate::{Error, Labels, Result};

/// An array of one of the six element types of the idx format, in row-major order.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum IdxArray {
    /// Unsigned bytes: images, labels.
    U8(ArrayD<u8>),
    /// Signed bytes.
    I8(ArrayD<i8>),
    /// 16-bit integers.
    I16(ArrayD<i16>),
    /// 32-bit integers.
    I32(ArrayD<i32>),
    /// 32-bit floats.
    F32(ArrayD<f32>),
    /// 64-bit floats.
    F64(ArrayD<f64>),
}

/// Runs `$body` with `$array` bound to the array inside, whatever its type.
macro_rules! with_array {
    ($idx:expr, $array:ident => $body:expr) => {
        match $idx {
            IdxArray::U8($array) => $body,
            IdxArray::I8($array) => $body,
            IdxArray::I16($array) => $body,
            IdxArray::I32($array) => $body,
            IdxArray::F32($array) => $body,
            IdxArray::F64($array) => $body,
        }
    };
}

impl IdxArray {
    /// Decodes `data`, whose length is the one that `element` and `shape` ask for.
    pub(super) fn from_big_endian(element: IdxType, shape: &[usize], data: Vec<u8>) -> Self {
        fn array<T, const N: usize>(
            shape: &[usize],
            data: &[u8],
            decode: fn([u8; N]) -> T,
        ) -> ArrayD<T> {
            let (elements, _) = data.as_chunks::<N>();
            shaped(shape, elements.iter().map(|&bytes| decode(bytes)).collect())
        }
        match element {
            IdxType::U8 => IdxArray::U8(shaped(shape, data)),
            IdxType::I8 => IdxArray::I8(array(shape, &data, i8::from_be_bytes)),
            IdxType::I16 => IdxArray::I16(array(shape, &data, i16::from_be_bytes)),
            IdxType::I32 => IdxArray::I32(array(shape, &data, i32::from_be_bytes)),
            IdxType::F32 => IdxArray::F32(array(shape, &data, f32::from_be_bytes)),
            IdxType::F64 => IdxArray::F64(array(shape, &data, f64::from_be_bytes)),
        }
    }

    /// The size of every axis.
    pub fn shape(&self) -> &[usize] {
        with_array!(self, array => array.shape())
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        with_array!(self, array => array.len())
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element type.
    pub fn element_type(&self) -> IdxType {
        match self {
            IdxArray::U8(_) => IdxType::U8,
            IdxArray::I8(_) => IdxType::I8,
            IdxArray::I16(_) => IdxType::I16,
            IdxArray::I32(_) => IdxType::I32,
            IdxArray::F32(_) => IdxType::F32,
            IdxArray::F64(_) => IdxType::F64,
        }
    }

    /// The elements as an `f32` tensor, values unchanged (a `u8` of 255 becomes 255.0; integers
    /// beyond 2²⁴ and `f64` values are rounded).
    pub fn to_tensor(&self) -> Tensor {
        match self {
            IdxArray::U8(array) => array.mapv(f32::from).into(),
            IdxArray::I8(array) => array.mapv(f32::from).into(),
            IdxArray::I16(array) => array.mapv(f32::from).into(),
            IdxArray::I32(array) => array.mapv(|value| value as f32).into(),
            IdxArray::F32(array) => array.into(),
            IdxArray::F64(array) => array.mapv(|value| value as f32).into(),
        }
    }

    /// The elements of a rank-1 integer array as class labels.
    ///
    /// # Errors
    /// [`Error::Label`] if the array has another rank or holds floats.
    pub fn to_labels(&self) -> Result<Labels> {
        if self.shape().len() == 1 {
            match self {
                IdxArray::U8(array) => return array.try_into(),
                IdxArray::I8(array) => return array.try_into(),
                IdxArray::I16(array) => return array.try_into(),
                IdxArray::I32(array) => return array.try_into(),
                IdxArray::F32(_) | IdxArray::F64(_) => {}
            }
        }
        Err(Error::Label(
            Detail::new(
                "idx array",
                "integers of rank 1, one label per sample",
                format!("{} of shape {:?}", self.element_type(), self.shape()),
            )
            .help("images and labels are two files: perhaps the other one was meant"),
        ))
    }
}

fn shaped<T>(shape: &[usize], data: Vec<T>) -> ArrayD<T> {
    ArrayD::from_shape_vec(IxDyn(shape), data)
        .expect("the header's size was checked and that many elements were read")
}
