//! The samples that are trained on, evaluated or predicted from: a data set, which of it, and how much
//! each counts.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use regraft_data::{Dataset, Part, Slice};
use regraft_layers::ElementType;
use regraft_tensor::Detail;

use crate::random::{Key, permutation};
use crate::training::arrays::Arrays;
use crate::{Error, Result, metrics};

/// Samples with their targets and weights.
#[derive(Clone, Debug)]
pub(crate) struct Samples<'a> {
    pub source: Source<'a>,
    /// The samples of the source that belong to it, in order; all if `None`.
    pub members: Option<Vec<u32>>,
    /// How much each sample of the source counts in the loss.
    pub weights: Option<Vec<f32>>,
    /// How much each class counts besides, where [`weights`](Self::weights) do not have it already.
    pub class_weight: BTreeMap<i32, f32>,
}

/// Where samples come from.
#[derive(Clone)]
pub(crate) enum Source<'a> {
    /// Checked as a whole, before anything begins.
    Arrays(Arc<Arrays<'a>>),
    /// Checked batch by batch.
    Stream(&'a dyn Dataset, Arc<Checks>),
}

/// What the rows of a stream must hold.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    /// What the model takes.
    pub inputs: Vec<ElementType>,
    /// Of targets that are classes how many there are, and the one that the loss passes over.
    pub targets: Vec<Option<(usize, Option<i32>)>>,
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
            weights: None,
            class_weight: BTreeMap::new(),
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

    /// Whether samples have weights in the loss.
    pub fn is_weighted(&self) -> bool {
        self.weights.is_some() || self.weighs_batches()
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

impl Checks {
    /// Refuses rows of a part that a model cannot take; `samples` are their numbers.
    pub fn check(&self, part: Part, rows: Slice<'_>, samples: &[usize]) -> Result<()> {
        let count = samples.len().max(1);
        let refuse =
            |index: usize, length: usize, expected: String, received: &dyn fmt::Display| {
                let row = (length / count).max(1);
                let what = match part {
                    Part::Input(input) => format!("input {input}"),
                    Part::Target(output) => format!("target {output}"),
                };
                let at = format!(
                    "{what}, sample {}, element {}",
                    samples[index / row],
                    index % row
                );
                let detail = Detail::new(at, expected, received);
                Err(Error::Data(detail.help(
                    "see `fill` of the data set: every element must be written",
                )))
            };
        match (part, rows) {
            (_, Slice::F32(values)) if !regraft_data::all_finite(values) => {
                let index = values.iter().position(|value| !value.is_finite());
                let index = index.expect("one is not finite");
                refuse(
                    index,
                    values.len(),
                    "a finite number".to_string(),
                    &values[index],
                )
            }
            (Part::Input(input), Slice::F32(values)) if self.inputs[input] == ElementType::Bool => {
                match values.iter().position(|value| ![0.0, 1.0].contains(value)) {
                    Some(index) => {
                        refuse(index, values.len(), "0 or 1".to_string(), &values[index])
                    }
                    None => Ok(()),
                }
            }
            (Part::Input(input), Slice::I32(values)) => {
                let element_type = self.inputs[input];
                let range = element_type.range();
                // The smallest integer is what a row holds that was not written.
                let fits = |value: &i32| range.contains(&i64::from(*value)) && *value != i32::MIN;
                match values.iter().position(|value| !fits(value)) {
                    Some(index) => {
                        let expected = format!("numbers of {element_type}, which the model takes");
                        refuse(index, values.len(), expected, &values[index])
                    }
                    None => Ok(()),
                }
            }
            (Part::Target(output), Slice::I32(values)) => {
                let Some((classes, ignored)) = self.targets[output] else {
                    return Ok(());
                };
                let fits = |value: &i32| {
                    Some(*value) == ignored || (0..classes as i64).contains(&i64::from(*value))
                };
                match values.iter().position(|value| !fits(value)) {
                    Some(index) => {
                        let expected = format!("a label in 0..{classes}");
                        refuse(index, values.len(), expected, &values[index])
                    }
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }
}

impl Checks {
    /// Refuses weights that are no numbers.
    pub fn check_weights(&self, weights: &[f32], samples: &[usize]) -> Result<()> {
        match weights.iter().position(|weight| !weight.is_finite()) {
            None => Ok(()),
            Some(row) => {
                let at = format!("the weight of sample {}", samples[row]);
                Err(Error::Data(Detail::new(
                    at,
                    "a finite number",
                    weights[row],
                )))
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
