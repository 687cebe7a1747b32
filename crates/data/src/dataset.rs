//! Data sets of which samples are made or read when they are asked for, so that they may be larger than
//! memory, or different in every epoch.

use std::ops::Range;

use regraft_tensor::Detail;
use regraft_tensor::kernels::random::Key;

use crate::{Balanced, Cached, Map, Row, Rows, Selected, Split};

/// Samples with their targets, given in batches of any choice and order.
///
/// ```
/// use regraft_data::{Dataset, Part, RowSpec, Rows};
/// use regraft_tensor::Detail;
/// use regraft_tensor::kernels::random::{Key, uniform};
///
/// /// A million noisy points, each with the number of its quadrant.
/// struct Quadrants;
///
/// impl Dataset for Quadrants {
///     fn len(&self) -> usize {
///         1_000_000
///     }
///     fn inputs(&self) -> Vec<RowSpec> {
///         vec![RowSpec::floats([2])]
///     }
///     fn targets(&self) -> Vec<RowSpec> {
///         vec![RowSpec::integers([])]
///     }
///     fn fill(&self, samples: &[usize], _key: Key, rows: &mut Rows) -> Result<(), Detail> {
///         for (row, &sample) in samples.iter().enumerate() {
///             let mut point = [0.0; 2];
///             uniform(Key::new(1, sample as u64), 0, &mut point);
///             let class = i32::from(point[0] > 0.5) + 2 * i32::from(point[1] > 0.5);
///             if let Some(x) = rows.floats(Part::Input(0)) {
///                 x[2 * row..][..2].copy_from_slice(&point);
///             }
///             if let Some(y) = rows.integers(Part::Target(0)) {
///                 y[row] = class;
///             }
///         }
///         Ok(())
///     }
/// }
/// ```
pub trait Dataset: Sync {
    /// The number of samples.
    fn len(&self) -> usize;

    /// Whether there are no samples.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What a sample has for each input of the model.
    fn inputs(&self) -> Vec<RowSpec>;

    /// What a sample has for each output of the model; nothing if the data are for prediction alone.
    fn targets(&self) -> Vec<RowSpec> {
        Vec::new()
    }

    /// Whether a sample is the same whenever it is asked for. If not (augmented data), nothing that is
    /// computed from one is kept, and the key says what it shall be.
    fn is_fixed(&self) -> bool {
        true
    }

    /// Whether samples have weights of their own in the loss: [`Rows::weights`].
    fn has_weights(&self) -> bool {
        false
    }

    /// Writes these samples, in this order, into the parts of `rows` that are wanted. `key` belongs to the
    /// seed and the epoch: what is drawn for a sample shall depend on `key.child(sample)` alone, so that it
    /// is the same on any number of threads and in training that was interrupted.
    ///
    /// # Errors
    /// Whatever keeps a sample from being read: it ends what was going on.
    fn fill(&self, samples: &[usize], key: Key, rows: &mut Rows) -> Result<(), Detail>;

    /// Consecutive samples as they lie in memory, if they do: they are read from there then, and
    /// [`fill`](Self::fill) is not asked for them. All rows of the range, or `None`.
    fn lend(&self, _part: Part, _samples: Range<usize>) -> Option<Slice<'_>> {
        None
    }

    /// What a sample's inputs are computed from, as a hash ([`Hasher`](crate::Hasher)): of a picture the
    /// bytes of its file *and* how they are made numbers (size, interpolation, the version of the code). What
    /// is kept on disk of a sample is kept under it, so two samples of the same content, in whatever data
    /// set, process or place, must have the same inputs, bit for bit (where samples are not fixed, if the
    /// key is the same). It may be asked for by several threads, and often.
    ///
    /// `None`, the default: nothing that is computed from the sample is kept on disk.
    ///
    /// # Errors
    /// Whatever keeps the sample from being read.
    fn content(&self, _sample: usize) -> Result<Option<Content>, Detail> {
        Ok(None)
    }

    /// The samples of these numbers, in this order; each as often as its number is there.
    ///
    /// # Errors
    /// [`Error::Data`](crate::Error::Data), naming a number that is not below the number of samples.
    fn select(self, samples: impl Into<Vec<usize>>) -> crate::Result<Selected<Self>>
    where
        Self: Sized,
    {
        Selected::list(self, samples.into())
    }

    /// The first `count` samples; all, if there are fewer.
    fn take(self, count: usize) -> Selected<Self>
    where
        Self: Sized,
    {
        Selected::range(self, 0..count)
    }

    /// All but the first `count` samples.
    fn skip(self, count: usize) -> Selected<Self>
    where
        Self: Sized,
    {
        Selected::range(self, count..usize::MAX)
    }

    /// All samples in an order drawn from the seed, the same for the same seed. `fit` takes them in a new
    /// order in each epoch anyway.
    ///
    /// # Errors
    /// [`Error::Data`](crate::Error::Data) if there are more samples than 32 bits can count.
    fn shuffle(self, seed: u64) -> crate::Result<Selected<Self>>
    where
        Self: Sized,
    {
        Selected::shuffled(self, seed)
    }

    /// The part to train on and the part to validate on:
    /// `let (train, validation) = data.split(&stratified_split(&labels, 0.2, 42)?)?;`, or
    /// [`split_by_group`](crate::split_by_group).
    ///
    /// # Errors
    /// As [`select`](Self::select).
    fn split(&self, split: &Split) -> crate::Result<(Selected<&Self>, Selected<&Self>)>
    where
        Self: Sized,
    {
        let validation = self.select(split.validation.as_slice())?;
        Ok((self.select(split.train.as_slice())?, validation))
    }

    /// The samples as `function` makes them: it changes each in place, and makes the same of the same
    /// sample always. What is computed from them is kept on disk only if the function has a name
    /// ([`Map::named`]).
    ///
    /// ```
    /// # use regraft_data::{Dataset, Part};
    /// # fn grey(data: impl Dataset) -> impl Dataset {
    /// let scaled = data.map(|row, _| {
    ///     for pixel in row.floats(Part::Input(0)).into_iter().flatten() {
    ///         *pixel /= 255.0;
    ///     }
    ///     Ok(())
    /// });
    /// # scaled
    /// # }
    /// ```
    fn map<F>(self, function: F) -> Map<Self, F>
    where
        Self: Sized,
        F: Fn(&mut Row<'_>, Key) -> Result<(), Detail> + Sync,
    {
        Map::new(self, function, true)
    }

    /// As [`map`](Self::map), for a function that draws random numbers from the key that it is given: samples
    /// are different in each epoch then, and nothing that is computed from them is kept, unless they are
    /// made [`views`](Map::views).
    fn augment<F>(self, function: F) -> Map<Self, F>
    where
        Self: Sized,
        F: Fn(&mut Row<'_>, Key) -> Result<(), Detail> + Sync,
    {
        Map::new(self, function, false)
    }

    /// Keeps in memory what was read once, whatever it takes; nothing if samples are not fixed.
    fn cache(self) -> Cached<Self>
    where
        Self: Sized,
    {
        Cached::new(self)
    }

    /// Lets all classes count the same in the loss: a sample counts n / (classes · n of its class), times
    /// what it counts already, as scikit-learn's `class_weight="balanced"`. The classes are read at once.
    ///
    /// # Errors
    /// [`Error::Data`](crate::Error::Data) if a sample has another target than one class number, and
    /// whatever the data set says.
    fn balanced(self) -> crate::Result<Balanced<Self>>
    where
        Self: Sized,
    {
        Balanced::new(self)
    }
}

/// A hash of what a sample's inputs are computed from: [`Dataset::content`].
pub type Content = [u8; 32];

impl<D: Dataset + ?Sized> Dataset for &D {
    fn len(&self) -> usize {
        (**self).len()
    }

    fn inputs(&self) -> Vec<RowSpec> {
        (**self).inputs()
    }

    fn targets(&self) -> Vec<RowSpec> {
        (**self).targets()
    }

    fn is_fixed(&self) -> bool {
        (**self).is_fixed()
    }

    fn has_weights(&self) -> bool {
        (**self).has_weights()
    }

    fn fill(&self, samples: &[usize], key: Key, rows: &mut Rows) -> Result<(), Detail> {
        (**self).fill(samples, key, rows)
    }

    fn lend(&self, part: Part, samples: Range<usize>) -> Option<Slice<'_>> {
        (**self).lend(part, samples)
    }

    fn content(&self, sample: usize) -> Result<Option<Content>, Detail> {
        (**self).content(sample)
    }
}

/// What a sample is for: an input of the model, or the target of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Input of this number.
    Input(usize),
    /// Target of the output of this number.
    Target(usize),
}

/// The elements that a sample has in one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowSpec {
    /// The shape, without the axis of the samples.
    pub shape: Vec<usize>,
    /// The type of the elements.
    pub row_type: RowType,
}

/// Types of elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowType {
    /// 32-bit floats.
    F32,
    /// 32-bit integers: classes, tokens.
    I32,
}

impl RowSpec {
    /// Floats of this shape; `[]` for one number.
    pub fn floats(shape: impl AsRef<[usize]>) -> Self {
        RowSpec {
            shape: shape.as_ref().to_vec(),
            row_type: RowType::F32,
        }
    }

    /// Integers of this shape; `[]` for one number, such as a class.
    pub fn integers(shape: impl AsRef<[usize]>) -> Self {
        RowSpec {
            shape: shape.as_ref().to_vec(),
            row_type: RowType::I32,
        }
    }

    /// The number of elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}

/// Elements of several samples, one sample after the other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Slice<'a> {
    /// Floats.
    F32(&'a [f32]),
    /// Integers.
    I32(&'a [i32]),
}
