//! The samples that are trained on, evaluated or predicted from: a data set, which of it, and how much
//! each counts.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use regraft_data::{Dataset, Part, RowSpec, RowType, Slice};
use regraft_layers::ElementType;
use regraft_tensor::Detail;

use crate::random::{Key, permutation};
use crate::training::arrays::Arrays;
use crate::training::inputs::data_type;
use crate::training::taught::Taught;
use crate::{Error, Result, metrics};

/// Samples with their targets and weights.
#[derive(Clone, Debug)]
pub(crate) struct Samples<'a> {
    pub source: Source<'a>,
    /// The samples of the source that belong to it, in order; all if `None`.
    pub members: Option<Vec<u32>>,
    /// How much each sample of the source counts in the loss: for all outputs, or for each.
    pub weights: Vec<SampleWeights>,
    /// How much each class counts besides, where [`weights`](Self::weights) do not have it already.
    pub class_weight: BTreeMap<i32, f32>,
    /// What a teacher answers to each sample of the source.
    pub taught: Option<Arc<Taught>>,
}

/// How much samples count, or each of their steps.
#[derive(Clone, Debug)]
pub(crate) struct SampleWeights {
    /// Of one sample after the other.
    pub values: Vec<f32>,
    /// Of one sample: without axes if it is a number.
    pub shape: Vec<usize>,
}

impl SampleWeights {
    /// How many there are of a sample.
    pub fn row(&self) -> usize {
        self.shape.iter().product()
    }
}

/// Where samples come from.
#[derive(Clone)]
pub(crate) enum Source<'a> {
    /// Checked as a whole, before anything begins.
    Arrays(Arc<Arrays<'a>>),
    /// Checked batch by batch.
    Stream(&'a dyn Dataset, Arc<Checks>),
}

/// How many classes there are, and the one that a loss passes over.
pub(crate) type Classes = (usize, Option<i32>);

/// What the rows of a stream must hold.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    /// The name of each input, and what the model takes there.
    pub inputs: Vec<(String, ElementType)>,
    /// The name of each output, and the classes that its targets are, if they are some.
    pub targets: Vec<(String, Option<Classes>)>,
}

impl fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Arrays(arrays) => arrays.fmt(f),
            Source::Stream(data, _) => write!(f, "a data set of {} samples", data.len()),
        }
    }
}

impl<'a> Source<'a> {
    pub fn data(&self) -> &dyn Dataset {
        match self {
            Source::Arrays(arrays) => &**arrays,
            Source::Stream(data, _) => *data,
        }
    }
}

impl<'a> From<Arrays<'a>> for Samples<'a> {
    fn from(arrays: Arrays<'a>) -> Self {
        Source::Arrays(Arc::new(arrays)).into()
    }
}

impl<'a> From<Source<'a>> for Samples<'a> {
    fn from(source: Source<'a>) -> Self {
        Samples {
            source,
            members: None,
            weights: Vec::new(),
            class_weight: BTreeMap::new(),
            taught: None,
        }
    }
}

impl Samples<'_> {
    /// The number of samples that belong to it.
    pub fn len(&self) -> usize {
        let members = self.members.as_ref();
        members.map_or_else(|| self.source.data().len(), Vec::len)
    }

    /// Whether a sample is the same whenever it is asked for.
    pub fn is_fixed(&self) -> bool {
        self.source.data().is_fixed()
    }

    /// The shapes of what a sample counts in the loss: for all outputs, or for each; none if all count the
    /// same.
    pub fn weight_shapes(&self) -> Vec<Vec<usize>> {
        let shapes = self.weights.iter().map(|weights| weights.shape.clone());
        let shapes: Vec<Vec<usize>> = shapes.collect();
        match shapes.is_empty() && self.weighs_batches() {
            true => vec![Vec::new()],
            false => shapes,
        }
    }

    /// Whether the weights are known only once a batch has been filled.
    pub fn weighs_batches(&self) -> bool {
        !self.class_weight.is_empty() || self.source.data().has_weights()
    }

    /// The sample of the source that stands at a position.
    pub fn sample(&self, position: usize) -> usize {
        let members = self.members.as_ref();
        members.map_or(position, |members| members[position] as usize)
    }
}

/// The order of positions in an epoch: the same for the same seed and epoch.
pub(crate) fn epoch_order(samples: usize, seed: u64, epoch: usize) -> Vec<u32> {
    /// The stream of random numbers that orders are drawn from.
    const SHUFFLE: u64 = 0x5348_5546;
    permutation(Key::new(seed, SHUFFLE).child(epoch as u64), samples as u32)
}

/// The batches that [`fit`](crate::Model::fit) takes in an epoch (from 0): positions of samples, in another
/// order for each epoch and seed. The last is a part if they do not come out even.
///
/// ```
/// let batches = regraft::data::batches(10, 4, 0, 0);
/// assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 2]);
/// ```
pub fn batches(samples: usize, batch_size: usize, seed: u64, epoch: usize) -> Vec<Vec<usize>> {
    let order = epoch_order(samples, seed, epoch);
    let batches = order.chunks(batch_size.max(1));
    batches
        .map(|batch| batch.iter().map(|&sample| sample as usize).collect())
        .collect()
}

/// The stream of random numbers for samples that are not fixed.
const SAMPLES: u64 = 0x5341_4d50;

/// What samples are drawn from in an epoch of training.
pub(crate) fn epoch_key(seed: u64, epoch: usize) -> Key {
    Key::new(seed, SAMPLES).child(epoch as u64)
}

/// What they are drawn from everywhere else, so that evaluations can be compared.
pub(crate) fn lasting_key() -> Key {
    Key::new(0, SAMPLES)
}

/// Rows of one part, on their way to a model.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Given<'a> {
    pub part: Part,
    /// What the data set says of them.
    pub spec: &'a RowSpec,
    pub rows: Slice<'a>,
    /// Whether they lie in memory, and were not written for the batch.
    pub lent: bool,
}

impl Checks {
    /// Refuses rows that a model cannot take, those of so many samples, of which `sample` gives the numbers.
    pub fn check(
        &self,
        given: Given<'_>,
        samples: usize,
        sample: impl Fn(usize) -> usize,
    ) -> Result<()> {
        let Given {
            part,
            spec,
            rows,
            lent,
        } = given;
        let what = || match part {
            Part::Input(index) => format!("{:?}, input {index}", self.inputs[index].0),
            Part::Target(index) => format!("{:?}, target {index}", self.targets[index].0),
        };
        let (length, row_type) = match rows {
            Slice::F32(values) => (values.len(), RowType::F32),
            Slice::I32(values) => (values.len(), RowType::I32),
        };
        if length != samples * spec.elements() || row_type != spec.row_type {
            let elements = samples * spec.elements();
            let expected = format!("{elements} elements of {}", data_type(spec.row_type));
            let received = format!("{length} of {}", data_type(row_type));
            let detail = Detail::new(what(), expected, received);
            return Err(Error::Data(detail.help(
                "see `lend` of the data set: it lends all rows that it is asked for, as `inputs` and \
                 `targets` say that they are, or none",
            )));
        }
        // What a row holds that was not written.
        let unwritten = |value: i32| !lent && value == i32::MIN;
        let (index, expected, received, help) = match (part, rows) {
            (_, Slice::F32(values)) if !regraft_data::all_finite(values) => {
                let index = values.iter().position(|value| !value.is_finite());
                let index = index.expect("one is not finite");
                let help = match values[index].is_nan() && !lent {
                    true => UNWRITTEN.to_string(),
                    false => "remove or replace the sample".to_string(),
                };
                let expected = "a finite number".to_string();
                (index, expected, values[index].to_string(), help)
            }
            (Part::Input(input), Slice::F32(values))
                if self.inputs[input].1 == ElementType::Bool =>
            {
                let wrong = |value: &f32| ![0.0, 1.0].contains(value);
                let Some(index) = values.iter().position(wrong) else {
                    return Ok(());
                };
                let help =
                    "the input layer takes truths: 1 where something holds, and 0".to_string();
                let expected = "0 or 1".to_string();
                (index, expected, values[index].to_string(), help)
            }
            (Part::Input(input), Slice::I32(values)) => {
                let element_type = self.inputs[input].1;
                let range = element_type.range();
                let wrong = |value: &i32| unwritten(*value) || !range.contains(&i64::from(*value));
                let Some(index) = values.iter().position(wrong) else {
                    return Ok(());
                };
                let help = match unwritten(values[index]) {
                    true => UNWRITTEN.to_string(),
                    false => "give the input layer a type that has all numbers".to_string(),
                };
                let expected = format!("numbers of {element_type}, which the model takes");
                (index, expected, values[index].to_string(), help)
            }
            (Part::Target(output), Slice::I32(values)) => {
                let Some((classes, ignored)) = self.targets[output].1 else {
                    return Ok(());
                };
                let wrong = |value: &i32| {
                    Some(*value) != ignored && !(0..classes as i64).contains(&i64::from(*value))
                };
                let Some(index) = values.iter().position(wrong) else {
                    return Ok(());
                };
                let help = match unwritten(values[index]) {
                    true => UNWRITTEN.to_string(),
                    false => format!("labels count from 0, and the output has {classes} classes"),
                };
                let expected = match ignored {
                    None => format!("a label in 0..{classes}"),
                    Some(ignored) => {
                        format!("a label in 0..{classes}, or {ignored}, which is ignored")
                    }
                };
                (index, expected, values[index].to_string(), help)
            }
            _ => return Ok(()),
        };
        let row = spec.elements().max(1);
        let (sample, element) = (sample(index / row), index % row);
        let at = format!("{}, sample {sample}, element {element}", what());
        Err(Error::Data(Detail::new(at, expected, received).help(help)))
    }

    /// As [`check`](Self::check), of all samples that lie in memory.
    pub fn check_all(&self, data: &dyn Dataset) -> Result<()> {
        let (inputs, targets) = (data.inputs(), data.targets());
        let parts = (0..).map(Part::Input).zip(&inputs);
        for (part, spec) in parts.chain((0..).map(Part::Target).zip(&targets)) {
            if let Some(rows) = data.lend(part, 0..data.len()) {
                let lent = true;
                let given = Given {
                    part,
                    spec,
                    rows,
                    lent,
                };
                self.check(given, data.len(), |row| row)?;
            }
        }
        Ok(())
    }
}

const UNWRITTEN: &str = "see `fill` of the data set: every element must be written";

impl Checks {
    /// Refuses weights that are no numbers.
    pub fn check_weights(&self, weights: &[f32], samples: &[usize]) -> Result<()> {
        match weights.iter().position(|weight| !weight.is_finite()) {
            None => Ok(()),
            Some(row) => {
                let at = format!("the weight of sample {}", samples[row]);
                let detail = Detail::new(at, "a finite number", weights[row]);
                Err(Error::Data(detail.help(UNWRITTEN)))
            }
        }
    }
}

/// The class of a row of targets: the number itself where there is one, and otherwise where the row is
/// largest, as in Keras.
pub(crate) fn class_of(targets: Slice<'_>, row: usize, elements: usize) -> i32 {
    match targets {
        Slice::I32(classes) => classes[row * elements],
        Slice::F32(values) if elements == 1 => values[row].round_ties_even() as i32,
        Slice::F32(values) => metrics::argmax(&values[row * elements..][..elements]) as i32,
    }
}
