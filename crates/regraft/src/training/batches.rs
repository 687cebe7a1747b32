//! Cutting data into batches: in order without copying, or in any order by gathering rows into
//! buffers that are used again for every batch.

use regraft_autograd::{DataType, Feed};
use regraft_tensor::kernels::random::{Key, permutation};

use crate::metrics::Targets;
use crate::training::feeds::Feeds;
use crate::training::input::{Data, Values};
use crate::training::steps::{Batch, Features, FeedPlan, feed_of};

/// Samples with their targets and weights, all of the same number.
#[derive(Debug)]
pub(crate) struct Dataset<'a> {
    pub inputs: Vec<Data<'a>>,
    /// One per output of the model.
    pub targets: Vec<Data<'a>>,
    pub weights: Option<Vec<f32>>,
    /// The samples that belong to it; all if `None`.
    pub members: Option<Vec<u32>>,
}

impl Dataset<'_> {
    /// The number of samples that belong to it.
    pub fn len(&self) -> usize {
        self.members.as_ref().map_or(self.samples(), Vec::len)
    }

    /// The number of samples in the arrays.
    pub fn samples(&self) -> usize {
        self.targets.first().map_or(0, Data::len)
    }
}

/// The order of the samples of an epoch: the same for the same seed and epoch.
pub(crate) fn epoch_order(
    members: Option<&[u32]>,
    samples: usize,
    seed: u64,
    epoch: usize,
) -> Vec<u32> {
    /// The stream of random numbers that orders are drawn from.
    const SHUFFLE: u64 = 0x5348_5546;
    let key = Key::new(seed, SHUFFLE).child(epoch as u64);
    let mut order = permutation(key, samples as u32);
    if let Some(members) = members {
        for position in &mut order {
            *position = members[*position as usize];
        }
    }
    order
}

/// Buffers for the rows of one batch.
#[derive(Debug, Default)]
pub(crate) struct Batcher {
    plan: FeedPlan,
    inputs: Vec<Vec<f32>>,
    targets: Vec<Vec<f32>>,
    weights: Vec<f32>,
    features: Vec<Vec<f32>>,
}

/// What a batch consists of, besides what the program is fed: for the metrics.
#[derive(Clone, Debug)]
pub(crate) struct Rows<'a> {
    pub targets: Feeds<'a>,
    pub weights: Option<&'a [f32]>,
}

impl Batcher {
    pub fn new(plan: FeedPlan) -> Self {
        Batcher {
            inputs: vec![Vec::new(); plan.inputs.len()],
            features: vec![Vec::new(); plan.features.len()],
            plan,
            ..Batcher::default()
        }
    }

    /// The samples at positions `from..to` of `order` (of the data themselves if there is none), for
    /// the program and for the metrics.
    pub fn batch<'a>(
        &'a mut self,
        data: &'a Dataset<'_>,
        features: Option<&'a Features>,
        order: Option<&[u32]>,
        (from, to): (usize, usize),
    ) -> (Batch<'a>, Rows<'a>) {
        let range = (from, to);
        let picked = order.map(|order| &order[from..to]);
        let input_count = self.plan.inputs.len();
        let mut feeds = Feeds::new(input_count + self.plan.features.len());
        let buffers = data.inputs.iter().zip(&mut self.inputs).enumerate();
        for (index, (input, buffer)) in buffers {
            if self.plan.inputs[index] {
                feeds.set(index, gather(input, picked, range, buffer));
            }
        }
        let outputs = data.targets.len();
        let mut targets = Feeds::new(outputs);
        self.targets.resize_with(outputs, Vec::new);
        let buffers = data.targets.iter().zip(&mut self.targets).enumerate();
        for (index, (all, buffer)) in buffers {
            let rows = gather(all, picked, range, buffer);
            targets.set(index, rows);
            feeds.set(data.inputs.len() + index, rows);
        }
        let weights = match &data.weights {
            Some(all) => Some(rows(all, 1, picked, range, &mut self.weights)),
            None => None,
        };
        if let Some(weights) = weights {
            feeds.set(data.inputs.len() + outputs, Feed::F32(weights));
        }
        let kept = features.map_or(&[][..], |features| &features.0);
        for (index, (all, buffer)) in kept.iter().zip(&mut self.features).enumerate() {
            let rows = rows(all, self.plan.features[index], picked, range, buffer);
            let feed = feed_of(self.plan.feature_types[index], rows);
            feeds.set(input_count + index, feed);
        }
        let samples = to - from;
        let batch = Batch {
            samples,
            feeds,
            features_fed: features.is_some(),
        };
        let rows = Rows { targets, weights };
        (batch, rows)
    }
}

impl<'a> Rows<'a> {
    /// The targets of an output as metrics take them.
    pub fn metric_targets(&self, output: usize) -> Targets<'a> {
        match self.targets.as_slice()[output] {
            Feed::F32(values) => Targets::Values(values),
            Feed::I32(classes) => Targets::Classes(classes),
        }
    }
}

/// The picked rows of `data`, or rows `from..to` as they lie.
fn gather<'a>(
    data: &'a Data<'_>,
    picked: Option<&[u32]>,
    range: (usize, usize),
    buffer: &'a mut Vec<f32>,
) -> Feed<'a> {
    match &data.values {
        Values::F32(values) => Feed::F32(rows(values, data.row(), picked, range, buffer)),
        Values::Bytes(_) if picked.is_none() => data.feed(range.0, range.1, buffer),
        Values::Bytes(values) => {
            let row = data.row();
            buffer.clear();
            for &index in picked.unwrap_or_default() {
                let start = index as usize * row;
                buffer.extend(
                    values[start..start + row]
                        .iter()
                        .map(|&byte| f32::from(byte)),
                );
            }
            Feed::F32(buffer)
        }
        Values::Strings(_) => unreachable!("strings are looked up when data are checked"),
        Values::I32(values) => {
            // The same 32 bits; `f32` buffers hold them so that one kind is enough.
            let words: &[f32] = bytemuck::cast_slice(values);
            let picked = rows(words, data.row(), picked, range, buffer);
            debug_assert_eq!(data.data_type(), DataType::I32);
            Feed::I32(bytemuck::cast_slice(picked))
        }
    }
}

fn rows<'a>(
    all: &'a [f32],
    row: usize,
    picked: Option<&[u32]>,
    (from, to): (usize, usize),
    buffer: &'a mut Vec<f32>,
) -> &'a [f32] {
    let Some(picked) = picked else {
        return &all[from * row..to * row];
    };
    buffer.clear();
    for &index in picked {
        let start = index as usize * row;
        buffer.extend_from_slice(&all[start..start + row]);
    }
    buffer
}
