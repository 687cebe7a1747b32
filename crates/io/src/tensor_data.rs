//! One tensor of a file: element type, shape and values.

use std::sync::Arc;

use half::{bf16, f16};
use ndarray::{ArrayD, IxDyn};
use regraft_tensor::{Detail, Tensor};

use crate::{DataType, Element, Error, Result};

/// A tensor as a file holds it. Cloning is cheap: clones share the values.
///
/// `f32` values are kept as a [`Tensor`], so [`to_tensor`](Self::to_tensor) hands them out without
/// a copy; all other types are kept as little-endian bytes in row-major order. Two are equal when
/// type, shape and bytes are (so a NaN equals the same NaN).
#[derive(Clone, Debug)]
pub struct TensorData {
    values: Values,
}

#[derive(Clone, Debug)]
enum Values {
    F32(Tensor),
    Bytes {
        data_type: DataType,
        shape: Vec<usize>,
        bytes: Arc<Vec<u8>>,
    },
}

impl TensorData {
    /// A tensor of `shape` over little-endian `bytes` in row-major order.
    ///
    /// # Errors
    /// [`Error::Format`] if the number of bytes is not that of the shape, or a `bool` is not 0 or 1.
    pub fn new(data_type: DataType, shape: impl Into<Vec<usize>>, bytes: Vec<u8>) -> Result<Self> {
        let shape = shape.into();
        let expected = byte_length(data_type, &shape);
        if expected != Some(bytes.len()) {
            return Err(Error::format(
                "TensorData::new",
                format!("as many bytes as shape {shape:?} of {data_type} takes"),
                format!("{} bytes", bytes.len()),
            ));
        }
        if data_type == DataType::F32 {
            return Ok(Self::from_f32(shape, aligned(&bytes)));
        }
        if data_type == DataType::Bool && bytes.iter().any(|&byte| byte > 1) {
            return Err(Error::format(
                "TensorData::new",
                "bool values 0 and 1",
                "another byte",
            ));
        }
        let bytes = Arc::new(bytes);
        Ok(TensorData {
            values: Values::Bytes {
                data_type,
                shape,
                bytes,
            },
        })
    }

    /// A tensor of `shape` filled by `fill`, which receives its bytes to be overwritten. The caller
    /// has checked that `shape` is not larger than what can be read.
    pub(crate) fn read_with(
        data_type: DataType,
        shape: Vec<usize>,
        fill: impl FnOnce(&mut [u8]) -> Result<()>,
    ) -> Result<Self> {
        let length = byte_length(data_type, &shape).unwrap_or(0);
        if data_type == DataType::F32 {
            // Read straight into the vector that becomes the tensor: weights are copied once.
            let mut values = vec![0f32; length / 4];
            fill(bytemuck::cast_slice_mut(&mut values))?;
            return Ok(Self::from_f32(shape, values));
        }
        let mut bytes = vec![0u8; length];
        fill(&mut bytes)?;
        Self::new(data_type, shape, bytes)
    }

    fn from_f32(shape: Vec<usize>, values: Vec<f32>) -> Self {
        let tensor = Tensor::new(shape, values).expect("the length was checked");
        TensorData {
            values: Values::F32(tensor),
        }
    }

    /// A rank-0 tensor.
    pub fn scalar<T: Element>(value: T) -> Self {
        Self::new(
            T::DATA_TYPE,
            Vec::new(),
            bytemuck::bytes_of(&value).to_vec(),
        )
        .expect("one element fills a scalar")
    }

    /// The type of the elements.
    pub fn data_type(&self) -> DataType {
        match &self.values {
            Values::F32(_) => DataType::F32,
            Values::Bytes { data_type, .. } => *data_type,
        }
    }

    /// The size of every axis.
    pub fn shape(&self) -> &[usize] {
        match &self.values {
            Values::F32(tensor) => tensor.shape(),
            Values::Bytes { shape, .. } => shape,
        }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.shape().iter().product()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values as little-endian bytes in row-major order.
    pub fn bytes(&self) -> &[u8] {
        match &self.values {
            Values::F32(tensor) => bytemuck::cast_slice(tensor.as_slice()),
            Values::Bytes { bytes, .. } => bytes,
        }
    }

    /// The values as a [`Tensor`]; without a copy if they are `f32` already.
    ///
    /// The conversion is exact for every type of which
    /// [`is_exact_in_f32`](DataType::is_exact_in_f32) holds. `float64` is rounded to the nearest
    /// `f32`. `bool` becomes 0 and 1.
    ///
    /// # Errors
    /// [`Error::DataType`] if an integer has no exact `f32`, or a finite `float64` is too large.
    pub fn to_tensor(&self) -> Result<Tensor> {
        let Values::Bytes {
            data_type,
            shape,
            bytes,
        } = &self.values
        else {
            let Values::F32(tensor) = &self.values else {
                unreachable!("there are two variants")
            };
            return Ok(tensor.clone());
        };
        let values = match data_type {
            DataType::F32 => convert(bytes, |value: f32| Some(value)),
            DataType::F16 => convert(bytes, |value: f16| Some(value.to_f32())),
            DataType::BF16 => convert(bytes, |value: bf16| Some(value.to_f32())),
            DataType::F64 => convert(bytes, |value: f64| {
                let rounded = value as f32;
                (rounded.is_finite() || !value.is_finite()).then_some(rounded)
            }),
            DataType::I8 => convert(bytes, |value: i8| Some(value.into())),
            DataType::U8 | DataType::Bool => convert(bytes, |value: u8| Some(value.into())),
            DataType::I16 => convert(bytes, |value: i16| Some(value.into())),
            DataType::U16 => convert(bytes, |value: u16| Some(value.into())),
            DataType::I32 => convert(bytes, |value: i32| exact(value.into())),
            DataType::U32 => convert(bytes, |value: u32| exact(value.into())),
            DataType::I64 => convert(bytes, |value: i64| exact(value.into())),
            DataType::U64 => convert(bytes, |value: u64| exact(value.into())),
        };
        match values {
            Some(values) => Ok(Tensor::new(shape, values).expect("one value per element")),
            None => Err(Error::DataType(
                Detail::new(
                    "TensorData::to_tensor",
                    "values that an f32 can hold",
                    format!("a {data_type} that it cannot"),
                )
                .help("read it in its own type with to_array"),
            )),
        }
    }

    /// The values as an `ndarray` array of `f32`, converted as by [`to_tensor`](Self::to_tensor).
    ///
    /// # Errors
    /// As [`to_tensor`](Self::to_tensor).
    pub fn to_f32(&self) -> Result<ArrayD<f32>> {
        Ok(self.to_tensor()?.into_array())
    }

    /// The values as an `ndarray` array of their own type.
    ///
    /// # Errors
    /// [`Error::DataType`] if `T` is not the type of the elements.
    pub fn to_array<T: Element>(&self) -> Result<ArrayD<T>> {
        if self.data_type() != T::DATA_TYPE {
            return Err(Error::DataType(
                Detail::new("TensorData::to_array", T::DATA_TYPE, self.data_type())
                    .help("ask for the type that the file holds, or convert with to_f32"),
            ));
        }
        let values = aligned(self.bytes());
        Ok(ArrayD::from_shape_vec(IxDyn(self.shape()), values).expect("one value per element"))
    }

    /// The single value of a rank-0 (or one-element) integer tensor, such as an iteration count.
    pub fn as_integer(&self) -> Option<i64> {
        let bytes = self.bytes();
        (self.len() == 1).then_some(())?;
        match self.data_type() {
            DataType::I8 => Some(bytemuck::pod_read_unaligned::<i8>(bytes).into()),
            DataType::I16 => Some(bytemuck::pod_read_unaligned::<i16>(bytes).into()),
            DataType::I32 => Some(bytemuck::pod_read_unaligned::<i32>(bytes).into()),
            DataType::I64 => Some(bytemuck::pod_read_unaligned::<i64>(bytes)),
            DataType::U8 | DataType::Bool => Some(bytes[0].into()),
            DataType::U16 => Some(bytemuck::pod_read_unaligned::<u16>(bytes).into()),
            DataType::U32 => Some(bytemuck::pod_read_unaligned::<u32>(bytes).into()),
            DataType::U64 => i64::try_from(bytemuck::pod_read_unaligned::<u64>(bytes)).ok(),
            _ => None,
        }
    }
}

impl PartialEq for TensorData {
    fn eq(&self, other: &Self) -> bool {
        self.data_type() == other.data_type()
            && self.shape() == other.shape()
            && self.bytes() == other.bytes()
    }
}

impl Eq for TensorData {}

impl From<Tensor> for TensorData {
    fn from(tensor: Tensor) -> Self {
        TensorData {
            values: Values::F32(tensor),
        }
    }
}

impl<T: Element> From<ArrayD<T>> for TensorData {
    fn from(array: ArrayD<T>) -> Self {
        let shape = array.shape().to_vec();
        let array = array.as_standard_layout();
        let values = array.as_slice().expect("standard layout is contiguous");
        let bytes = bytemuck::cast_slice(values).to_vec();
        TensorData::new(T::DATA_TYPE, shape, bytes).expect("an array has the size of its shape")
    }
}

/// The bytes that `shape` takes, unless that overflows. An axis of 0 does not hide an overflow of the
/// others, which no array could have.
pub(crate) fn byte_length(data_type: DataType, shape: &[usize]) -> Option<usize> {
    let bytes = shape
        .iter()
        .filter(|&&axis| axis != 0)
        .try_fold(data_type.size(), |bytes, &axis| bytes.checked_mul(axis))
        .filter(|&bytes| isize::try_from(bytes).is_ok())?;
    Some(if shape.contains(&0) { 0 } else { bytes })
}

/// The elements that `bytes` hold, which may lie at any address.
fn aligned<T: Element>(bytes: &[u8]) -> Vec<T> {
    let mut values = vec![T::zeroed(); bytes.len() / size_of::<T>()];
    bytemuck::cast_slice_mut(&mut values).copy_from_slice(bytes);
    values
}

fn convert<T: Element>(bytes: &[u8], to: impl Fn(T) -> Option<f32>) -> Option<Vec<f32>> {
    bytes
        .chunks_exact(size_of::<T>())
        .map(|chunk| to(bytemuck::pod_read_unaligned(chunk)))
        .collect()
}

fn exact(value: i128) -> Option<f32> {
    let rounded = value as f32;
    (rounded as i128 == value).then_some(rounded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn f32_is_handed_out_without_a_copy() {
        let tensor = Tensor::zeros([3]);
        let data = TensorData::from(tensor.clone());
        assert!(data.to_tensor().unwrap().shares_memory_with(&tensor));
    }

    #[test]
    fn exact_types_convert_exactly_and_others_say_so() {
        let small = TensorData::from(array![-3i64, 1 << 24].into_dyn());
        assert_eq!(
            small.to_f32().unwrap(),
            array![-3.0, 16_777_216.0].into_dyn()
        );
        let odd = TensorData::from(array![(1i64 << 24) + 1].into_dyn());
        assert!(matches!(odd.to_f32(), Err(Error::DataType(_))));
        let huge = TensorData::from(array![1e300f64].into_dyn());
        assert!(matches!(huge.to_f32(), Err(Error::DataType(_))));
        let infinite = TensorData::from(array![f64::INFINITY, 0.1].into_dyn());
        assert_eq!(
            infinite.to_f32().unwrap(),
            array![f32::INFINITY, 0.1].into_dyn()
        );
        let half = TensorData::from(array![bf16::from_f32(1.5)].into_dyn());
        assert_eq!(half.to_f32().unwrap(), array![1.5].into_dyn());
    }

    #[test]
    fn a_wrong_length_and_a_wrong_bool_are_errors() {
        assert!(TensorData::new(DataType::I16, [2], vec![0; 3]).is_err());
        assert!(TensorData::new(DataType::Bool, [1], vec![2]).is_err());
        assert!(TensorData::new(DataType::F64, [usize::MAX, 4], vec![]).is_err());
        assert!(TensorData::new(DataType::F32, [0, usize::MAX, 4], vec![]).is_err());
        assert!(TensorData::new(DataType::F32, [usize::MAX / 2, 0], vec![]).is_err());
    }

    #[test]
    fn a_transposed_array_is_stored_row_major() {
        let data = TensorData::from(array![[1i32, 2], [3, 4]].reversed_axes().into_dyn());
        assert_eq!(
            data.to_array::<i32>().unwrap(),
            array![[1, 3], [2, 4]].into_dyn()
        );
        assert_eq!(TensorData::scalar(7u16).as_integer(), Some(7));
    }
}
