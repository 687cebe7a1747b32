//! What can be trained on and predicted from: arrays of samples, borrowed where their layout allows
//! it. Nothing of the caller's is ever changed.

use std::borrow::Cow;

use ndarray::{ArrayBase, Dimension};
use regraft_autograd::Feed;
use regraft_tensor::{Detail, TensorBase};

use crate::training::gather::gather;
use crate::{Error, Result};

/// An array of samples (the first axis) on its way into a model.
#[derive(Clone, Debug)]
pub struct Data<'a> {
    pub(crate) values: Values<'a>,
    pub(crate) shape: Vec<usize>,
    /// Of which input or output, if that is told.
    pub(crate) name: Option<String>,
}

/// The elements in row-major order.
#[derive(Clone, Debug)]
pub(crate) enum Values<'a> {
    F32(Cow<'a, [f32]>),
    I32(Cow<'a, [i32]>),
    /// Pixels: they become floats batch by batch, and take one byte each until then.
    Bytes(Cow<'a, [u8]>),
    /// Looked up by a layer of the model before it runs.
    Strings(Vec<String>),
}

/// Element types that data may have.
pub trait Element: Clone {
    /// The elements as a model takes them, or the position of one that it cannot take.
    #[doc(hidden)]
    fn convert(values: Cow<'_, [Self]>) -> Result<Converted<'_>, usize>;
}

/// Elements as a model takes them.
#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct Converted<'a>(Values<'a>);

impl Element for f32 {
    fn convert(values: Cow<'_, [Self]>) -> Result<Converted<'_>, usize> {
        Ok(Converted(Values::F32(values)))
    }
}

impl Element for f64 {
    fn convert(values: Cow<'_, [Self]>) -> Result<Converted<'_>, usize> {
        let rounded = values.iter().map(|&value| value as f32).collect();
        Ok(Converted(Values::F32(Cow::Owned(rounded))))
    }
}

impl Element for i32 {
    fn convert(values: Cow<'_, [Self]>) -> Result<Converted<'_>, usize> {
        Ok(Converted(Values::I32(values)))
    }
}

impl Element for bool {
    fn convert(values: Cow<'_, [Self]>) -> Result<Converted<'_>, usize> {
        let truths = values.iter().map(|&value| i32::from(value)).collect();
        Ok(Converted(Values::I32(Cow::Owned(truths))))
    }
}

/// Strings, for inputs of strings.
macro_rules! strings {
    ($($type:ty),*) => {$(
        impl Element for $type {
            fn convert(values: Cow<'_, [Self]>) -> Result<Converted<'_>, usize> {
                let strings = values.iter().map(|text| text.to_string()).collect();
                Ok(Converted(Values::Strings(strings)))
            }
        }
    )*};
}

strings!(String, &str);

impl Element for u8 {
    fn convert(values: Cow<'_, [Self]>) -> Result<Converted<'_>, usize> {
        Ok(Converted(Values::Bytes(values)))
    }
}

/// Other integers become `i32`, if they fit.
macro_rules! integer {
    ($($type:ty),*) => {$(
        impl Element for $type {
            fn convert(values: Cow<'_, [Self]>) -> Result<Converted<'_>, usize> {
                let converted: Result<Vec<i32>, usize> = values
                    .iter()
                    .enumerate()
                    .map(|(index, &value)| i32::try_from(value).map_err(|_| index))
                    .collect();
                Ok(Converted(Values::I32(Cow::Owned(converted?))))
            }
        }
    )*};
}

integer!(i8, u16, i16, u32, i64, u64, usize);

/// What can be used where data are expected: `ndarray` arrays and views of any rank and layout,
/// [`Tensor`](regraft_tensor::Tensor)s, slices and vectors of labels.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be used as data",
    note = "pass a reference to an `ndarray` array, a tensor, or a slice: `&x`"
)]
pub trait IntoData<'a> {
    /// The data, borrowed if they are in row-major order and of a type that a model takes as it is.
    ///
    /// # Errors
    /// An element that is out of range.
    fn into_data(self) -> Result<Data<'a>>;
}

impl<'a> Data<'a> {
    pub(crate) fn new<T: Element>(values: Cow<'a, [T]>, shape: Vec<usize>) -> Result<Self> {
        match T::convert(values) {
            Ok(Converted(values)) => Ok(Data {
                values,
                shape,
                name: None,
            }),
            Err(index) => Err(Error::Data(Detail::new(
                format!("element {index}"),
                "a number that fits 32 bits",
                "a larger one",
            ))),
        }
    }

    /// The number of samples.
    pub fn len(&self) -> usize {
        self.shape.first().copied().unwrap_or(0)
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The sizes, samples first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The number of elements of a sample.
    pub(crate) fn row(&self) -> usize {
        self.shape.iter().skip(1).product()
    }

    /// Samples `from..to`; bytes as floats in `buffer`.
    pub(crate) fn feed<'s>(&'s self, from: usize, to: usize, buffer: &'s mut Vec<f32>) -> Feed<'s> {
        let row = self.row();
        match &self.values {
            Values::F32(values) => Feed::F32(&values[from * row..to * row]),
            Values::I32(values) => Feed::I32(&values[from * row..to * row]),
            Values::Bytes(values) => {
                buffer.clear();
                buffer.extend(
                    values[from * row..to * row]
                        .iter()
                        .map(|&byte| f32::from(byte)),
                );
                Feed::F32(buffer)
            }
            Values::Strings(_) => unreachable!("strings are looked up when data are checked"),
        }
    }

    /// The samples at these positions, in `buffer`.
    pub(crate) fn gather<'s>(&self, positions: &[u32], buffer: &'s mut Vec<f32>) -> Feed<'s> {
        match &self.values {
            Values::F32(values) => Feed::F32(gather(values, self.row(), positions, buffer)),
            Values::I32(values) => {
                // The same 32 bits; `f32` buffers hold them so that one kind is enough.
                let words = bytemuck::cast_slice(values);
                let words = gather(words, self.row(), positions, buffer);
                Feed::I32(bytemuck::cast_slice(words))
            }
            Values::Bytes(values) => {
                buffer.clear();
                for &position in positions {
                    let start = position as usize * self.row();
                    let row = &values[start..start + self.row()];
                    buffer.extend(row.iter().map(|&byte| f32::from(byte)));
                }
                Feed::F32(buffer)
            }
            Values::Strings(_) => unreachable!("strings are looked up when data are checked"),
        }
    }

    /// The class numbers, if these are integers.
    pub(crate) fn classes(&self) -> Option<&[i32]> {
        match &self.values {
            Values::I32(values) => Some(values),
            Values::F32(_) | Values::Bytes(_) | Values::Strings(_) => None,
        }
    }

    /// Strings as the integers by which `layer` knows them.
    pub(crate) fn looked_up(self, name: &str, layer: &dyn regraft_layers::Layer) -> Result<Self> {
        let Values::Strings(strings) = &self.values else {
            let detail = Detail::new(name, "strings", "numbers");
            return Err(Error::Data(detail.help("the input layer takes strings")));
        };
        let row = self.row().max(1);
        let look_up = |(index, text): (usize, &String)| {
            let at = || format!("{name}, sample {}, element {}", index / row, index % row);
            layer
                .look_up(text)
                .map_err(|detail| Error::Data(detail.within(&at())))
        };
        let integers: Result<Vec<i32>> = strings.iter().enumerate().map(look_up).collect();
        let values = Values::I32(Cow::Owned(integers?));
        Ok(Data { values, ..self })
    }

    /// The same numbers as floats.
    pub(crate) fn into_floats(self) -> Self {
        let values = match self.values {
            Values::I32(values) => Values::F32(Cow::Owned(
                values.iter().map(|&value| value as f32).collect(),
            )),
            Values::Bytes(values) => Values::F32(Cow::Owned(
                values.iter().map(|&value| f32::from(value)).collect(),
            )),
            floats => floats,
        };
        Data { values, ..self }
    }

    /// The same numbers, which are whole and fit 32 bits, as integers.
    pub(crate) fn into_integers(self) -> Self {
        let values = match self.values {
            Values::F32(values) => Values::I32(Cow::Owned(
                values.iter().map(|&value| value as i32).collect(),
            )),
            Values::Bytes(values) => Values::I32(Cow::Owned(
                values.iter().map(|&value| i32::from(value)).collect(),
            )),
            integers => integers,
        };
        Data { values, ..self }
    }

    /// The same, with integers in the place of bytes: for all that are not pixels.
    pub(crate) fn widened(self) -> Self {
        match self.values {
            Values::Bytes(_) => self.into_integers(),
            _ => self,
        }
    }

    /// 1 where a number is not 0, else 0.
    pub(crate) fn into_truths(self) -> Self {
        let mut data = self.into_floats();
        if let Values::F32(values) = &mut data.values {
            let truths = values.iter().map(|&value| f32::from(value != 0.0));
            *values = Cow::Owned(truths.collect());
        }
        data
    }
}

impl<'a> IntoData<'a> for Data<'a> {
    fn into_data(self) -> Result<Data<'a>> {
        Ok(self)
    }
}

impl<'a, T, S, D> IntoData<'a> for &'a ArrayBase<S, D>
where
    T: Element,
    S: ndarray::Data<Elem = T>,
    D: Dimension,
{
    fn into_data(self) -> Result<Data<'a>> {
        let values = match self.as_slice() {
            Some(values) => Cow::Borrowed(values),
            None => Cow::Owned(self.iter().cloned().collect()),
        };
        Data::new(values, self.shape().to_vec())
    }
}

impl<'a, T: Element> IntoData<'a> for &'a TensorBase<T> {
    fn into_data(self) -> Result<Data<'a>> {
        Data::new(Cow::Borrowed(self.as_slice()), self.shape().to_vec())
    }
}

impl<'a, T: Element> IntoData<'a> for &'a [T] {
    fn into_data(self) -> Result<Data<'a>> {
        Data::new(Cow::Borrowed(self), vec![self.len()])
    }
}

impl<'a, T: Element> IntoData<'a> for &'a Vec<T> {
    fn into_data(self) -> Result<Data<'a>> {
        self.as_slice().into_data()
    }
}

impl<'a, T: Element, const N: usize> IntoData<'a> for &'a [T; N] {
    fn into_data(self) -> Result<Data<'a>> {
        self.as_slice().into_data()
    }
}

impl<'a> IntoData<'a> for &'a regraft_data::Labels {
    fn into_data(self) -> Result<Data<'a>> {
        self.as_slice().into_data()
    }
}

/// An array with the name of the input or output that it is for: `("ids", &ids)`.
impl<'a, T: IntoData<'a>> IntoData<'a> for (&str, T) {
    fn into_data(self) -> Result<Data<'a>> {
        let (name, data) = self;
        Ok(Data {
            name: Some(name.to_string()),
            ..data.into_data()?
        })
    }
}

/// What can be used where the inputs of a model, or the targets of its outputs, are expected: one
/// array, or as many as there are: a tuple, an array or a vector of them. Each can be a pair of its
/// input's or output's name and the array, `[("left", &a), ("right", &b)]`, in any order then.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be used as data",
    note = "pass a reference to an `ndarray` array, a tensor, a slice or a vector: `&x`; for a model of several inputs or outputs a tuple of them: `(&a, &b)`",
    note = "of a view pass a reference as well: `&x.view()`"
)]
pub trait IntoInputs<'a> {
    /// The data of every input or output.
    ///
    /// # Errors
    /// As [`IntoData::into_data`].
    fn into_inputs(self) -> Result<Vec<Data<'a>>>;
}

impl<'a, T: IntoData<'a>> IntoInputs<'a> for T {
    fn into_inputs(self) -> Result<Vec<Data<'a>>> {
        Ok(vec![self.into_data()?])
    }
}

impl<'a, T: IntoData<'a>> IntoInputs<'a> for Vec<T> {
    fn into_inputs(self) -> Result<Vec<Data<'a>>> {
        self.into_iter().map(T::into_data).collect()
    }
}

impl<'a, T: IntoData<'a>, const N: usize> IntoInputs<'a> for [T; N] {
    fn into_inputs(self) -> Result<Vec<Data<'a>>> {
        self.into_iter().map(T::into_data).collect()
    }
}

/// Tuples of arrays, which may be of different types.
macro_rules! tuple {
    ($($name:ident)+) => {
        impl<'a, $($name: IntoData<'a>),+> IntoInputs<'a> for ($($name,)+) {
            fn into_inputs(self) -> Result<Vec<Data<'a>>> {
                #[allow(non_snake_case)]
                let ($($name,)+) = self;
                Ok(vec![$($name.into_data()?),+])
            }
        }
    };
}

tuple!(A B);
tuple!(A B C);
tuple!(A B C D);
tuple!(A B C D E);
tuple!(A B C D E F);

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn row_major_floats_are_borrowed() {
        let x = array![[1.0_f32, 2.0], [3.0, 4.0]];
        let data = (&x).into_data().unwrap();
        assert!(matches!(data.values, Values::F32(Cow::Borrowed(_))));
        assert_eq!((data.len(), data.row()), (2, 2));
    }

    #[test]
    fn a_transposed_view_is_read_in_its_own_order() {
        let x = array![[1.0_f32, 2.0], [3.0, 4.0]];
        let view = x.t();
        let data = (&view).into_data().unwrap();
        let mut buffer = Vec::new();
        let feed = data.feed(0, 1, &mut buffer);
        assert!(matches!(feed, Feed::F32(&[1.0, 3.0])));
    }

    #[test]
    fn a_label_beyond_32_bits_is_refused() {
        let labels = [1_u64, u64::from(u32::MAX)];
        let error = (&labels).into_data().unwrap_err().to_string();
        assert!(error.contains("element 1"), "{error}");
    }

    #[test]
    fn pixels_stay_bytes_until_they_are_fed() {
        let x = array![[1_u8, 2], [3, 255]];
        let data = (&x).into_data().unwrap();
        assert!(matches!(data.values, Values::Bytes(Cow::Borrowed(_))));
        let mut buffer = Vec::new();
        let feed = data.feed(1, 2, &mut buffer);
        assert!(matches!(feed, Feed::F32(&[3.0, 255.0])));
        // As labels they are integers.
        assert_eq!(data.widened().classes(), Some(&[1, 2, 3, 255][..]));
    }
}
