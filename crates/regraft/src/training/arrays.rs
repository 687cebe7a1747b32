//! Arrays in memory as a data set: what lies there in order is read from there.

use std::ops::Range;

use regraft_data::{Content, Dataset, Hasher, Part, RowSpec, RowType, Rows, Slice};
use regraft_tensor::Detail;

use crate::random::Key;
use crate::training::input::{Data, IntoInputs, Values};
use crate::{Error, Result};

/// Arrays in memory, borrowed, as a [`Dataset`]: to be the source of one of your own, say.
///
/// ```
/// use regraft::data::{Arrays, Dataset, RowSpec};
/// use regraft::ndarray::Array2;
///
/// let (x, y) = (Array2::<f32>::zeros((6, 4)), [0, 1, 2, 0, 1, 2]);
/// let data = Arrays::new(&x, &y)?;
/// assert_eq!(data.len(), 6);
/// assert_eq!(data.inputs(), [RowSpec::floats([4])]);
/// # Ok::<(), regraft::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Arrays<'a> {
    pub(crate) inputs: Vec<Data<'a>>,
    pub(crate) targets: Vec<Data<'a>>,
}

impl<'a> Arrays<'a> {
    /// Samples `x` with targets `y`; of several inputs or outputs a tuple or a list of arrays, in the order
    /// of the model's.
    ///
    /// # Errors
    /// Arrays of different numbers of samples, or with names, which a data set has not; and of strings, which
    /// only `fit` and the like look up.
    pub fn new(x: impl IntoInputs<'a>, y: impl IntoInputs<'a>) -> Result<Self> {
        let (inputs, targets) = (x.into_inputs()?, y.into_inputs()?);
        let samples = inputs.first().map_or(0, Data::len);
        for data in inputs.iter().chain(&targets) {
            let wrong = |expected: &str, received: &str, help: &str| {
                let detail = Detail::new("Arrays", expected, received);
                Err(Error::Data(detail.help(help)))
            };
            if let Some(name) = &data.name {
                return wrong(
                    "arrays without names",
                    &format!("one for {name:?}"),
                    "pass them in the order of the model's inputs and outputs",
                );
            }
            if data.shape().is_empty() {
                let help = "the first axis counts the samples";
                return wrong("arrays of samples", "a number of shape []", help);
            }
            regraft_data::check_same_samples(("x", samples), ("an array", data.len()))?;
            if let Values::Strings(_) = data.values {
                let help = "pass the arrays themselves to `fit`, `evaluate` or `predict`";
                return wrong("numbers", "strings", help);
            }
        }
        let targets = targets.into_iter().map(Data::widened).collect();
        Ok(Arrays { inputs, targets })
    }

    fn part(&self, part: Part) -> Option<&Data<'a>> {
        match part {
            Part::Input(index) => self.inputs.get(index),
            Part::Target(index) => self.targets.get(index),
        }
    }
}

fn spec(data: &Data<'_>) -> RowSpec {
    RowSpec {
        shape: data.shape()[1..].to_vec(),
        row_type: match data.values {
            Values::F32(_) | Values::Bytes(_) => RowType::F32,
            Values::I32(_) | Values::Strings(_) => RowType::I32,
        },
    }
}

impl Dataset for Arrays<'_> {
    fn len(&self) -> usize {
        self.inputs.first().map_or(0, Data::len)
    }

    fn inputs(&self) -> Vec<RowSpec> {
        self.inputs.iter().map(spec).collect()
    }

    fn targets(&self) -> Vec<RowSpec> {
        self.targets.iter().map(spec).collect()
    }

    fn fill(&self, samples: &[usize], _key: Key, rows: &mut Rows) -> Result<(), Detail> {
        fn copy<T: Copy, U: Copy>(
            from: &[T],
            row: usize,
            samples: &[usize],
            to: &mut [U],
            convert: impl Fn(T) -> U,
        ) {
            if row == 0 {
                return;
            }
            for (to, &sample) in to.chunks_exact_mut(row).zip(samples) {
                let from = &from[sample * row..(sample + 1) * row];
                for (to, from) in to.iter_mut().zip(from) {
                    *to = convert(*from);
                }
            }
        }
        let inputs = (0..self.inputs.len()).map(Part::Input);
        for part in inputs.chain((0..self.targets.len()).map(Part::Target)) {
            let data = self.part(part).expect("a part that is there");
            let row = data.row();
            match &data.values {
                Values::F32(values) => {
                    if let Some(to) = rows.floats(part) {
                        copy(values, row, samples, to, |value| value);
                    }
                }
                Values::Bytes(values) => {
                    if let Some(to) = rows.floats(part) {
                        copy(values, row, samples, to, f32::from);
                    }
                }
                Values::I32(values) => {
                    if let Some(to) = rows.integers(part) {
                        copy(values, row, samples, to, |value| value);
                    }
                }
                Values::Strings(_) => unreachable!("strings are looked up when data are checked"),
            }
        }
        Ok(())
    }

    fn lend(&self, part: Part, samples: Range<usize>) -> Option<Slice<'_>> {
        let data = self.part(part)?;
        let range = samples.start * data.row()..samples.end * data.row();
        match &data.values {
            Values::F32(values) => Some(Slice::F32(&values[range])),
            Values::I32(values) => Some(Slice::I32(&values[range])),
            Values::Bytes(_) | Values::Strings(_) => None,
        }
    }

    /// The elements of the sample, of pixels as what they become.
    fn content(&self, sample: usize) -> Result<Option<Content>, Detail> {
        let mut hasher = Hasher::new("rows of arrays");
        for data in &self.inputs {
            let (row, shape) = (data.row(), &data.shape()[1..]);
            let range = sample * row..(sample + 1) * row;
            hasher = hasher.number(shape.len() as u64);
            hasher = shape
                .iter()
                .fold(hasher, |hasher, &size| hasher.number(size as u64));
            hasher = match &data.values {
                Values::F32(values) => hasher.elements(Slice::F32(&values[range])),
                Values::I32(values) => hasher.elements(Slice::I32(&values[range])),
                Values::Bytes(values) => {
                    let values: Vec<f32> = values[range].iter().map(|&it| f32::from(it)).collect();
                    hasher.elements(Slice::F32(&values))
                }
                Values::Strings(_) => return Ok(None),
            };
        }
        Ok(Some(hasher.finish()))
    }
}
