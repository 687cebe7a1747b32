//! Data sets of which samples are made or read when they are asked for, so that they may be larger than
//! memory, or different in every epoch.

use std::ops::Range;

use regraft_tensor::Detail;
use regraft_tensor::kernels::random::Key;

use crate::Rows;

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
}

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
