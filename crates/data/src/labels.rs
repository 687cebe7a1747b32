//! Class labels: one class number per sample, from any integer type, with the checks that find a
//! label outside the classes before training does.

use ndarray::{ArrayBase, Data, Dimension};
use regraft_tensor::{Detail, IntTensor};

use crate::{Error, Histogram, Result};

/// An integer type that class labels come in.
///
/// Implemented for all integer types of Rust; a user's own type can implement it as well.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a class label",
    label = "expected integers, such as i32, i64, u8 or usize",
    note = "of one-hot rows take the position of the largest value first"
)]
pub trait ClassLabel: Copy + std::fmt::Display {
    /// The class number, or `None` if it does not fit an `i32`.
    fn class(self) -> Option<i32>;
}

macro_rules! class_label {
    ($($integer:ty),*) => {$(
        impl ClassLabel for $integer {
            fn class(self) -> Option<i32> {
                i32::try_from(self).ok()
            }
        }
    )*};
}
class_label!(i8, i16, i32, i64, isize, u8, u16, u32, u64, usize);

/// One class number per sample.
///
/// ```
/// use regraft_data::Labels;
///
/// let labels = Labels::new(&[2_u8, 0, 2, 1])?;
/// assert_eq!(labels.unique(), [0, 1, 2]);
/// labels.check(3)?;
/// assert!(labels.check(2).unwrap_err().to_string().contains("sample 0"));
/// # Ok::<(), regraft_data::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    classes: Vec<i32>,
}

impl Labels {
    /// The labels in `values`, one per sample.
    ///
    /// # Errors
    /// [`Error::Label`], naming the first sample whose value does not fit an `i32`.
    pub fn new<T: ClassLabel>(values: &[T]) -> Result<Self> {
        Self::collect(values.iter().copied())
    }

    fn collect<T: ClassLabel>(values: impl Iterator<Item = T>) -> Result<Self> {
        let mut classes = Vec::with_capacity(values.size_hint().0);
        for (sample, value) in values.enumerate() {
            let Some(class) = value.class() else {
                return Err(Error::Label(Detail::new(
                    format!("sample {sample}"),
                    "a class number that fits 32 bits",
                    value,
                )));
            };
            classes.push(class);
        }
        Ok(Labels { classes })
    }

    /// The class of every sample.
    pub fn as_slice(&self) -> &[i32] {
        &self.classes
    }

    /// The number of samples.
    pub fn len(&self) -> usize {
        self.classes.len()
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }

    /// The classes that occur, ascending.
    pub fn unique(&self) -> Vec<i32> {
        self.histogram().classes().collect()
    }

    /// How often each class occurs; prints as a table.
    pub fn histogram(&self) -> Histogram {
        Histogram::new(&self.classes)
    }

    /// Checks that every label lies in `0..classes`, see [`check_labels`].
    ///
    /// # Errors
    /// [`Error::Label`], naming the first offending sample and its value.
    pub fn check(&self, classes: usize) -> Result<()> {
        check_labels(&self.classes, classes)
    }

    /// The labels of the samples `indices`, in that order.
    ///
    /// # Errors
    /// [`Error::Label`] if an index is not below [`len`](Self::len).
    pub fn select(&self, indices: &[usize]) -> Result<Self> {
        let class_of = |&index: &usize| {
            self.classes.get(index).copied().ok_or_else(|| {
                Error::Label(Detail::new(
                    "Labels::select",
                    format!("indices below the number of samples, {}", self.len()),
                    index,
                ))
            })
        };
        let classes = indices.iter().map(class_of).collect::<Result<_>>()?;
        Ok(Labels { classes })
    }

    /// The labels as a tensor of shape `[samples]`.
    pub fn to_tensor(&self) -> IntTensor {
        ndarray::Array1::from(self.classes.clone()).into()
    }
}

impl<T: ClassLabel, S: Data<Elem = T>, D: Dimension> TryFrom<&ArrayBase<S, D>> for Labels {
    type Error = Error;

    /// Reads an array of shape `[samples]` or `[samples, 1]`.
    fn try_from(array: &ArrayBase<S, D>) -> Result<Self> {
        if array.ndim() == 0 || array.shape()[1..].iter().any(|&axis| axis != 1) {
            return Err(Error::Label(
                Detail::new(
                    "labels",
                    "shape [samples] or [samples, 1]",
                    format!("{:?}", array.shape()),
                )
                .help("of one-hot rows take the position of the largest value first"),
            ));
        }
        Labels::collect(array.iter().copied())
    }
}

impl TryFrom<&IntTensor> for Labels {
    type Error = Error;

    /// Reads a tensor of shape `[samples]` or `[samples, 1]`.
    fn try_from(tensor: &IntTensor) -> Result<Self> {
        Labels::try_from(&tensor.view())
    }
}

/// Checks that every label lies in `0..classes`.
///
/// # Errors
/// [`Error::Label`], naming the first offending sample, its value, and how many others offend.
pub fn check_labels(labels: &[i32], classes: usize) -> Result<()> {
    let limit = u32::try_from(classes).unwrap_or(u32::MAX);
    // A negative label becomes a large unsigned one, so one comparison finds both kinds.
    let offends = |label: i32| label as u32 >= limit;
    // Counting without a branch runs through clean labels at memory speed.
    let offenders = labels.iter().filter(|&&label| offends(label)).count();
    if offenders == 0 {
        return Ok(());
    }
    let (sample, &label) = labels
        .iter()
        .enumerate()
        .find(|(_, label)| offends(**label))
        .expect("an offender was counted");
    let others = match offenders - 1 {
        0 => String::new(),
        others => format!(" (and {others} more labels out of range)"),
    };
    let help = if label < 0 {
        "labels are counted from 0; negative ones often mean 'unknown': leave those samples out"
    } else {
        "labels are counted from 0; give the last layer one unit per class, or renumber the labels"
    };
    Err(Error::Label(
        Detail::new(
            format!("sample {sample}"),
            format!("a label in 0..{classes}"),
            format!("{label}{others}"),
        )
        .help(help),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;
    use proptest::prelude::*;

    #[test]
    fn every_integer_type_makes_the_same_labels() {
        let expected = [1, 0, 2];
        assert_eq!(Labels::new(&[1_u8, 0, 2]).unwrap().as_slice(), expected);
        assert_eq!(Labels::new(&[1_i64, 0, 2]).unwrap().as_slice(), expected);
        assert_eq!(Labels::new(&[1_usize, 0, 2]).unwrap().as_slice(), expected);
        assert_eq!(Labels::new(&[1_u32, 0, 2]).unwrap().as_slice(), expected);
        let column = array![[1_i64], [0], [2]];
        assert_eq!(Labels::try_from(&column).unwrap().as_slice(), expected);
        let tensor = Labels::new(&[1, 0, 2]).unwrap().to_tensor();
        assert_eq!(Labels::try_from(&tensor).unwrap().as_slice(), expected);
    }

    #[test]
    fn a_value_beyond_32_bits_names_its_sample() {
        let error = Labels::new(&[0_i64, 1 << 40]).unwrap_err().to_string();
        assert!(
            error.contains("sample 1") && error.contains("1099511627776"),
            "{error}"
        );
    }

    #[test]
    fn one_hot_rows_are_not_labels() {
        let error = Labels::try_from(&array![[0, 1], [1, 0]])
            .unwrap_err()
            .to_string();
        assert!(error.contains("[2, 2]"), "{error}");
    }

    #[test]
    fn the_first_offender_is_named_and_the_others_counted() {
        let error = check_labels(&[0, 9, 10, -1, 12], 10)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("sample 2") && error.contains("0..10"),
            "{error}"
        );
        assert!(error.contains("received 10 (and 2 more"), "{error}");
        assert!(check_labels(&[], 0).is_ok());
        assert!(check_labels(&[0], 0).is_err());
    }

    #[test]
    fn selecting_past_the_end_is_an_error() {
        let labels = Labels::new(&[5, 6, 7]).unwrap();
        assert_eq!(labels.select(&[2, 0]).unwrap().as_slice(), [7, 5]);
        assert!(labels.select(&[3]).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_check_agrees_with_a_plain_search(
            labels in prop::collection::vec(-3_i32..12, 0..40),
            classes in 0_usize..12,
        ) {
            let first = labels.iter().position(|&label| label < 0 || label as usize >= classes);
            match (first, check_labels(&labels, classes)) {
                (None, result) => prop_assert!(result.is_ok()),
                (Some(sample), result) => {
                    let text = result.unwrap_err().to_string();
                    prop_assert!(text.contains(&format!("sample {sample}:")), "{}", text);
                }
            }
        }
    }
}
