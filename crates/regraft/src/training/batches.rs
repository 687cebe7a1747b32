//! Cutting samples into batches: in order without copying, or in any order by gathering rows into
//! buffers that are used again for every batch.

use regraft_autograd::{DataType, Feed};
use regraft_data::{Part, RowSpec, Rows, Slice};
use regraft_tensor::Detail;

use crate::metrics::Targets;
use crate::random::Key;
use crate::training::feeds::Feeds;
use crate::training::gather::gather;
use crate::training::protocol::Role;
use crate::training::samples::{Given, Samples, Source, class_of};
use crate::training::stored_rows::StoredRows;
use crate::{Error, Result};

/// What batches must be made of.
#[derive(Clone, Debug, Default)]
pub(crate) struct FeedPlan {
    /// What the program is fed at each position, and whether it reads it.
    pub roles: Vec<(Role, bool)>,
    /// Whether targets and weights are wanted, by metrics too.
    pub with_targets: bool,
    /// For each feature the number of elements of a sample, and their type.
    pub features: Vec<(usize, DataType)>,
}

/// What one step is fed.
#[derive(Clone, Debug)]
pub(crate) struct Batch<'a> {
    pub samples: usize,
    pub feeds: Feeds<'a>,
    /// Whether the features are among the feeds.
    pub features_fed: bool,
}

/// What is true of a batch, for the metrics.
#[derive(Clone, Debug)]
pub(crate) struct Truth<'a> {
    pub targets: Feeds<'a>,
    /// How much samples count, for all outputs or for each.
    weights: Feeds<'a>,
}

/// Features of samples by position, one list of rows per output of the prefix.
#[derive(Debug, Default)]
pub(crate) struct Features(pub Vec<Vec<f32>>);

/// Where features are, while they are trained on.
#[derive(Debug)]
pub(crate) enum KeptFeatures<'s> {
    InMemory(Features),
    /// More than fit into memory.
    OnDisk(Box<StoredRows<'s>>),
}

/// Buffers for the rows of one batch.
#[derive(Debug)]
pub(crate) struct Batcher {
    plan: FeedPlan,
    /// The parts of a sample that are read.
    parts: Vec<(Part, RowSpec)>,
    /// How many targets a sample has, and whether it has a weight of its own.
    targets: usize,
    weighted: bool,
    rows: Rows,
    /// The samples of the batch, unless they lie in order.
    picked: Vec<usize>,
    weights: Vec<Vec<f32>>,
    taught: Vec<f32>,
    features: Vec<Vec<f32>>,
}

impl FeedPlan {
    /// Inputs alone, of which there are so many.
    pub fn of_inputs(count: usize) -> Self {
        let roles = (0..count).map(Role::Input);
        FeedPlan {
            roles: roles.map(|role| (role, true)).collect(),
            ..FeedPlan::default()
        }
    }
}

impl Batcher {
    /// For batches of `data`, as the plan says.
    pub fn new(plan: FeedPlan, data: &Samples<'_>) -> Self {
        let source = data.source.data();
        let targets = match plan.with_targets {
            true => source.targets(),
            false => Vec::new(),
        };
        let weighted = plan.with_targets && source.has_weights();
        let reads = |index: usize| plan.roles.contains(&(Role::Input(index), true));
        let inputs = source.inputs();
        let mut rows = Rows::new(&inputs, &targets, weighted);
        for index in 0..inputs.len() {
            rows.want(Part::Input(index), reads(index));
        }
        let count = targets.len();
        let inputs = inputs.into_iter().enumerate();
        let inputs = inputs.filter(|(index, _)| reads(*index));
        let inputs = inputs.map(|(index, spec)| (Part::Input(index), spec));
        let targets = targets.into_iter().enumerate();
        let targets = targets.map(|(index, spec)| (Part::Target(index), spec));
        Batcher {
            parts: inputs.chain(targets).collect(),
            targets: count,
            weighted,
            rows,
            picked: Vec::new(),
            weights: vec![Vec::new(); data.weight_shapes().len()],
            taught: Vec::new(),
            features: vec![Vec::new(); plan.features.len()],
            plan,
        }
    }

    /// Lets the data set write the samples at positions `from..to` of `order` (of the data themselves if
    /// there is none), and reads their features from the disk if that is where they are. `key` is what
    /// samples are drawn from that are not fixed.
    ///
    /// # Errors
    /// What the data set says, and what it gives that no model can take.
    pub fn prepare(
        &mut self,
        data: &Samples<'_>,
        features: Option<&KeptFeatures<'_>>,
        order: Option<&[u32]>,
        (from, to): (usize, usize),
        key: Key,
    ) -> Result<()> {
        let lends = lends(data, order, (from, to));
        self.picked.clear();
        match order {
            Some(order) => {
                let positions = order[from..to].iter();
                self.picked
                    .extend(positions.map(|&position| data.sample(position as usize)));
            }
            None => self
                .picked
                .extend((from..to).map(|position| data.sample(position))),
        }
        self.fill(data, &lends, key)?;
        if data.weighs_batches() {
            self.weigh(data, &lends);
        }
        if let Some(KeptFeatures::OnDisk(stored)) = features {
            let positions = (from..to).map(|at| order.map_or(at, |order| order[at] as usize));
            stored.read(positions, &mut self.features)?;
        }
        Ok(())
    }

    /// What was [prepared](Self::prepare), for the program and for the metrics: of the same data, features,
    /// order and positions.
    pub fn ready<'b>(
        &'b mut self,
        data: &'b Samples<'_>,
        features: Option<&'b KeptFeatures<'_>>,
        order: Option<&[u32]>,
        (from, to): (usize, usize),
    ) -> (Batch<'b>, Truth<'b>) {
        let lends = lends(data, order, (from, to));
        let (rows, picked) = (&self.rows, &self.picked);
        let of_part = |part: Part| match lends(part).or_else(|| rows.get(part)) {
            Some(Slice::F32(values)) => Feed::F32(values),
            Some(Slice::I32(values)) => Feed::I32(values),
            None => Feed::F32(&[]),
        };
        let mut weights = Feeds::new(match self.plan.with_targets {
            true => self.weights.len(),
            false => 0,
        });
        if self.plan.with_targets {
            for (index, buffer) in self.weights.iter_mut().enumerate() {
                let values = match data.weights.get(index) {
                    _ if data.weighs_batches() => buffer.as_slice(),
                    Some(all) if is_in_order(data, order) => {
                        &all.values[from * all.row()..to * all.row()]
                    }
                    Some(all) => {
                        buffer.clear();
                        let of = |&sample: &usize| &all.values[sample * all.row()..][..all.row()];
                        buffer.extend(picked.iter().flat_map(of));
                        buffer.as_slice()
                    }
                    None => &[],
                };
                weights.set(index, Feed::F32(values));
            }
        }
        let taught: &[f32] = match &data.taught {
            Some(all) if self.plan.with_targets => {
                let width = all.width();
                match is_in_order(data, order) {
                    true => &all.values[from * width..to * width],
                    false => {
                        let of = |&sample: &usize| &all.values[sample * width..][..width];
                        self.taught.clear();
                        self.taught.extend(picked.iter().flat_map(of));
                        &self.taught
                    }
                }
            }
            _ => &[],
        };
        let mut feeds = Feeds::new(self.plan.roles.len());
        let mut targets = Feeds::new(self.targets);
        for index in 0..self.targets {
            targets.set(index, of_part(Part::Target(index)));
        }
        let mut buffers = self.features.iter_mut();
        for (position, &(role, read)) in self.plan.roles.iter().enumerate() {
            match role {
                Role::Input(index) if read => feeds.set(position, of_part(Part::Input(index))),
                Role::Input(_) => {}
                Role::Target(index) if self.plan.with_targets => {
                    feeds.set(position, targets.as_slice()[index]);
                }
                Role::Target(_) | Role::Fed => {}
                Role::SampleWeight(index) if self.plan.with_targets => {
                    feeds.set(position, weights.as_slice()[index]);
                }
                Role::SampleWeight(_) => {}
                Role::Taught => feeds.set(position, Feed::F32(taught)),
                Role::Feature(index) => {
                    let buffer = buffers.next().expect("a buffer for each feature");
                    let (elements, data_type) = self.plan.features[index];
                    let rows = match features {
                        None => continue,
                        Some(KeptFeatures::OnDisk(_)) => buffer.as_slice(),
                        Some(KeptFeatures::InMemory(Features(features))) => match order {
                            None => &features[index][from * elements..to * elements],
                            Some(order) => {
                                gather(&features[index], elements, &order[from..to], buffer)
                            }
                        },
                    };
                    feeds.set(position, feed_of(data_type, rows));
                }
            }
        }
        let batch = Batch {
            samples: to - from,
            feeds,
            features_fed: features.is_some(),
        };
        (batch, Truth { targets, weights })
    }

    /// Lets the data set write what it does not lend, and checks what it gives either way.
    fn fill<'d>(
        &mut self,
        data: &'d Samples<'_>,
        lends: &impl Fn(Part) -> Option<Slice<'d>>,
        key: Key,
    ) -> Result<()> {
        let source = data.source.data();
        let mut wanted = self.weighted;
        for (part, _) in &self.parts {
            let is_wanted = lends(*part).is_none();
            self.rows.want(*part, is_wanted);
            wanted |= is_wanted;
        }
        if wanted {
            self.rows.begin(self.picked.len());
            let at = |detail: Detail| Error::Data(detail.within("data set"));
            source.fill(&self.picked, key, &mut self.rows).map_err(at)?;
        }
        let Source::Stream(_, checks) = &data.source else {
            return Ok(());
        };
        for (part, spec) in &self.parts {
            let (part, lent) = (*part, lends(*part));
            if let Some(rows) = lent.or_else(|| self.rows.get(part)) {
                let lent = lent.is_some();
                let given = Given {
                    part,
                    spec,
                    rows,
                    lent,
                };
                checks.check(given, self.picked.len(), |row| self.picked[row])?;
            }
        }
        match self.rows.get_weights() {
            Some(weights) => checks.check_weights(weights, &self.picked),
            None => Ok(()),
        }
    }

    /// Multiplies what is known of how much each sample counts.
    fn weigh<'d>(&mut self, data: &'d Samples<'_>, lends: &impl Fn(Part) -> Option<Slice<'d>>) {
        let targets = lends(Part::Target(0)).or_else(|| self.rows.get(Part::Target(0)));
        let filled = self.rows.get_weights();
        self.weights.iter_mut().for_each(Vec::clear);
        for (row, &sample) in self.picked.iter().enumerate() {
            let mut weight = 1.0;
            if let Some(filled) = filled {
                weight *= filled[row];
            }
            if let (false, Some(targets)) = (data.class_weight.is_empty(), targets) {
                let length = match targets {
                    Slice::F32(values) => values.len(),
                    Slice::I32(values) => values.len(),
                };
                let class = class_of(targets, row, length / self.picked.len());
                weight *= data.class_weight.get(&class).copied().unwrap_or(1.0);
            }
            for (index, weights) in self.weights.iter_mut().enumerate() {
                match data.weights.get(index) {
                    Some(all) => {
                        let given = &all.values[sample * all.row()..][..all.row()];
                        weights.extend(given.iter().map(|given| given * weight));
                    }
                    None => weights.push(weight),
                }
            }
        }
    }
}

/// Whether samples are taken as they lie.
fn is_in_order(data: &Samples<'_>, order: Option<&[u32]>) -> bool {
    order.is_none() && data.members.is_none()
}

/// What the data lend of the samples at these positions.
fn lends<'d>(
    data: &'d Samples<'_>,
    order: Option<&[u32]>,
    (from, to): (usize, usize),
) -> impl Fn(Part) -> Option<Slice<'d>> + use<'d> {
    let in_order = is_in_order(data, order);
    let source = data.source.data();
    move |part| match in_order {
        true => source.lend(part, from..to),
        false => None,
    }
}

impl<'a> Truth<'a> {
    /// How much samples count for an output, or their steps, if they have weights.
    pub fn weights(&self, output: usize) -> Option<&'a [f32]> {
        let weights = match self.weights.as_slice() {
            [all] => Some(all),
            each => each.get(output),
        };
        match weights? {
            Feed::F32(values) => Some(values),
            Feed::I32(_) => None,
        }
    }

    /// The targets of an output as metrics take them.
    pub fn metric_targets(&self, output: usize) -> Targets<'a> {
        match self.targets.as_slice()[output] {
            Feed::F32(values) => Targets::Values(values),
            Feed::I32(classes) => Targets::Classes(classes),
        }
    }
}

/// Elements of a feature, which are kept as the 32 bits that they are.
pub(crate) fn feed_of(data_type: DataType, words: &[f32]) -> Feed<'_> {
    match data_type {
        DataType::F32 => Feed::F32(words),
        DataType::I32 => Feed::I32(bytemuck::cast_slice(words)),
    }
}
