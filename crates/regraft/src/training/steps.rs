//! The programs that training and evaluation run: the frozen prefix, which is run once per sample
//! where its features are kept, and the rest, which is run at every step.

use regraft_autograd::passes::{LeastMemory, optimize, recompute, split_at};
use regraft_autograd::{
    BatchWorkspace, DataType, Dim, Graph, Program, Run, Shape, Tensor, VariableId, Variables,
    Workspace,
};
use regraft_layers::losses::{Link, LossFunction};
use regraft_layers::{Mode, Model, Trained, WeightStore};
use regraft_tensor::Detail;

use crate::training::batches::{Batch, FeedPlan, feed_of};
use crate::training::frozen_precision::Calibrated;
use crate::training::inputs::Inputs;
use crate::training::objective::Objective;
use crate::training::protocol::{Answers, Asked, Questions, Role};
use crate::training::taught::Taught;
use crate::{Error, Result};

/// What is asked of a model: the programs for it, and where to find their results.
#[derive(Debug)]
pub(crate) struct Steps {
    prefix: Option<BatchWorkspace>,
    rest: Workspace,
    /// What the rest is fed at each position, and whether it reads it. The prefix has the same without
    /// the features.
    roles: Vec<(Role, bool)>,
    /// For each feature the number of elements of a sample, and their type.
    features: Vec<(usize, DataType)>,
    answers: Answers,
    /// Of each output what makes probabilities of it, where its loss takes it for logits.
    pub links: Vec<Option<Link>>,
    /// Whether the mean of the batches' losses depends on how the samples are divided: where what counts
    /// in a batch is not the number of its samples.
    pub depends_on_batches: bool,
    /// Whether masks weigh the steps for every metric, as in Keras 2, and not just for means of a function of each.
    pub masks_weigh_metrics: bool,
    /// Which weights the program may write.
    pub trained: Trained,
    /// If no gradient reaches anything, the ops at which they stop.
    pub stopped_at: Vec<String>,
}

/// What a step is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Purpose<'a> {
    pub objective: &'a Objective,
    /// The shapes of what a sample counts: for all outputs, or for each; none if all count the same.
    pub weights: &'a [Vec<usize>],
    /// What a teacher answers to the samples, if there is one.
    pub taught: Option<&'a Taught>,
    /// Training; evaluation, again and again between the steps of training; or evaluation of the model as it is
    /// now, whose states fold.
    pub mode: Mode,
    /// With what numbers frozen layers are computed, if not with 32-bit floats.
    pub precision: Option<&'a Calibrated>,
}

impl Steps {
    /// Writes the model into a graph, differentiates, and compiles.
    ///
    /// With `keep_features`, the frozen prefix becomes a program of its own.
    pub fn new(model: &Model, purpose: Purpose<'_>, keep_features: bool) -> Result<Steps> {
        let graph = Graph::new();
        let inputs = Inputs::of(model)?.in_graph(&graph);
        let mut roles: Vec<Role> = (0..inputs.len()).map(Role::Input).collect();
        let mut feed = |role: Role, name: &str, shape: Shape, data_type: DataType| {
            roles.push(role);
            graph.input(name, shape, data_type)
        };
        let Purpose {
            objective,
            weights,
            taught,
            mode,
            precision,
        } = purpose;
        // What is frozen is told by its being constant.
        let (mode, constants) = match (mode, precision) {
            (Mode::Constant, Some(_)) => (Mode::Inference, Some(model.weights())),
            (mode, _) => (mode, None),
        };
        let (outputs, emission) = model.emit(&graph, &inputs, mode)?;
        let mut questions = Questions::default();
        for (index, &output) in outputs.iter().enumerate() {
            questions.ask(Asked::Output(index), output);
        }
        let mut links = Vec::new();
        let trains = mode == Mode::Training;
        let mut targets = Vec::with_capacity(outputs.len());
        let mut depends_on_batches = emission.masks.iter().any(Option::is_some);
        let losses = objective.losses(model)?.into_iter().zip(&outputs);
        for (index, (loss, predictions)) in losses.enumerate() {
            let Some(loss) = loss else {
                targets.push(None);
                links.push(None);
                continue;
            };
            let (shape, data_type) = targets_of(loss, model, &predictions.shape())?;
            let target = feed(Role::Target(index), "targets", shape, data_type);
            targets.push(Some(target));
            links.push(loss.get().ok().and_then(|loss| loss.link(*predictions)));
            if !trains {
                depends_on_batches |= !loss.is_mean_of_samples(target, *predictions);
            }
        }
        let weights = weights.iter().enumerate().map(|(index, of_sample)| {
            let sizes = of_sample.iter().map(|&size| Dim::Fixed(size));
            let shape = [Dim::Batch].into_iter().chain(sizes).collect();
            let role = Role::SampleWeight(index);
            feed(role, "sample_weight", shape, DataType::F32)
        });
        let weights: Vec<_> = weights.collect();
        let answers = taught.map(|taught| {
            let sizes = taught.row.iter().map(|&size| Dim::Fixed(size));
            let shape = [Dim::Batch].into_iter().chain(sizes).collect();
            (taught, feed(Role::Taught, "taught", shape, DataType::F32))
        });
        let (mut total, parts) =
            objective.apply(model, &targets, &outputs, &emission.masks, &weights)?;
        if let (Some((taught, answers)), Some(&output)) = (answers, outputs.first()) {
            let mask = emission.masks.first().copied().flatten();
            total = taught.loss(total, (answers, output), weights.first().copied(), mask);
        }
        for &penalty in &emission.penalties {
            total = total + penalty;
        }
        questions.ask(Asked::Loss, total.named("loss"));
        // As `Training::part_names` says.
        if parts.len() > 1 || model.is_of_keras2() && outputs.len() > 1 {
            for (index, part) in parts.into_iter().enumerate() {
                questions.ask(Asked::Part(index), part);
            }
        }
        for (index, mask) in emission.masks.iter().enumerate() {
            if let Some(mask) = mask {
                questions.ask(Asked::Mask(index), *mask);
            }
        }
        if trains {
            questions.ask_training(total, &emission.trainable, &emission.updates)?;
        }
        let precision = precision.map(|precision| (precision, constants));
        let trained = emission.trained();
        let steps = Steps::compile(&graph, questions, roles, keep_features, trained, precision)?;
        Ok(Steps {
            links,
            depends_on_batches,
            masks_weigh_metrics: model.is_of_keras2(),
            ..steps
        })
    }

    /// Compiles all that is asked for. With `keep_features`, what depends on constants and on inputs of the
    /// model alone, which stand first in `roles`, becomes a program of its own. With a `precision`, what is frozen has
    /// it; and with the model's weights beside it, these are constants, too.
    pub fn compile(
        graph: &Graph,
        questions: Questions<'_>,
        roles: Vec<Role>,
        keep_features: bool,
        trained: Trained,
        precision: Option<(&Calibrated, Option<&WeightStore>)>,
    ) -> Result<Steps> {
        graph.check()?;
        let inputs = roles.iter().filter(|role| matches!(role, Role::Input(_)));
        let inputs = inputs.count();
        let nodes = graph.nodes_for(&questions.values);
        let nodes = match precision {
            Some((precision, constants)) => precision.compile(&nodes, constants)?,
            None => optimize(&nodes),
        };
        let split = keep_features
            .then(|| split_at(&nodes, inputs, roles.len()))
            .flatten();
        let (prefix, rest, read) = match split {
            Some(split) => (Some(split.prefix), split.rest, Some(split.rest_inputs)),
            None => (None, nodes, None),
        };
        let features = prefix.iter().flat_map(|prefix| {
            let node = |&output| prefix.node(output);
            prefix.outputs().iter().map(node)
        });
        let features: Vec<(usize, DataType)> = features
            .map(|node| (node.shape.len(1), node.data_type))
            .collect();
        let reads = |position: usize| read.as_ref().is_none_or(|read| read.contains(&position));
        let roles = roles.into_iter().enumerate();
        let roles = roles.map(|(position, role)| (role, reads(position)));
        let roles = roles.chain((0..features.len()).map(|index| (Role::Feature(index), true)));
        Ok(Steps {
            roles: roles.collect(),
            features,
            answers: Answers::to(&questions.asked),
            prefix: prefix.map(|prefix| BatchWorkspace::new(&Program::from_nodes(prefix))),
            rest: Program::from_nodes(rest).workspace(),
            links: Vec::new(),
            depends_on_batches: false,
            masks_weigh_metrics: false,
            trained,
            stopped_at: questions.stopped_at,
        })
    }

    /// Keeps the buffers for `batch` samples within `limit` bytes, where need be by computing values of the forward pass
    /// again; the numbers are the same.
    ///
    /// # Errors
    /// The least that is possible, if that is more.
    pub fn limit_memory(&mut self, batch: usize, limit: usize) -> Result<()> {
        let prefix = self.prefix.as_ref();
        let prefix = prefix.map_or(0, |prefix| prefix.buffer_bytes(batch));
        let nodes = self.rest.program().nodes();
        let nodes = recompute(nodes, batch, limit.saturating_sub(prefix));
        let nodes = nodes.map_err(|LeastMemory(least)| {
            let least = least + prefix;
            let expected = format!("at least {least} bytes for a step of {batch} samples");
            let detail = Detail::new("memory_limit", expected, limit);
            Error::Setting(detail.help(
                "a smaller `batch_size` takes less, and so does freezing more of the first layers",
            ))
        })?;
        self.rest = Program::from_nodes(nodes).workspace();
        Ok(())
    }

    /// The program that is run at every step.
    pub fn rest(&self) -> &Program {
        self.rest.program()
    }

    /// What runs the program whose results can be kept, if there is one.
    pub fn prefix(&self) -> Option<&BatchWorkspace> {
        self.prefix.as_ref()
    }

    /// Bytes of the features of one sample.
    pub fn feature_bytes(&self) -> usize {
        let elements = self.features.iter().map(|(elements, _)| elements);
        4 * elements.sum::<usize>()
    }

    /// Of each feature the number of elements of a sample.
    pub fn feature_sizes(&self) -> Vec<usize> {
        self.features
            .iter()
            .map(|&(elements, _)| elements)
            .collect()
    }

    /// Runs the prefix alone on a batch.
    pub fn run_prefix<V: Variables + Sync + ?Sized>(
        &mut self,
        batch: &Batch<'_>,
        variables: &V,
    ) -> Result<()> {
        let prefix = self
            .prefix
            .as_mut()
            .expect("features are those of a prefix");
        let feeds = &batch.feeds.as_slice()[..self.roles.len() - self.features.len()];
        Ok(prefix.run(batch.samples, feeds, variables, Run::default())?)
    }

    /// A feature in the last run of the prefix, as the 32 bits of each element.
    pub fn feature(&self, index: usize) -> &[f32] {
        let prefix = self.prefix.as_ref();
        words(
            prefix.expect("features are those of a prefix"),
            index,
            self.features[index].1,
        )
    }

    /// Runs one step on a batch: from features if they are fed, else from the inputs through the
    /// prefix.
    pub fn run<V: Variables + Sync + ?Sized>(
        &mut self,
        batch: &Batch<'_>,
        variables: &V,
        run: Run,
    ) -> Result<()> {
        let mut feeds = batch.feeds.clone();
        if let (Some(prefix), false) = (&mut self.prefix, batch.features_fed) {
            let first = self.roles.len() - self.features.len();
            prefix.run(batch.samples, &feeds.as_slice()[..first], variables, run)?;
            for (index, &(_, data_type)) in self.features.iter().enumerate() {
                let feed = feed_of(data_type, words(prefix, index, data_type));
                feeds.set(first + index, feed);
            }
        }
        self.rest
            .run(batch.samples, feeds.as_slice(), variables, run)?;
        Ok(())
    }

    /// What a batch must be made of, if features are fed (or not).
    pub fn feed_plan(&self, features_fed: bool) -> FeedPlan {
        let prefix_runs = self.prefix.is_some() && !features_fed;
        let roles = self.roles.iter();
        FeedPlan {
            roles: roles
                .map(|&(role, read)| (role, read || prefix_runs))
                .collect(),
            with_targets: true,
            features: self.features.clone(),
        }
    }

    /// What a batch must be made of for the prefix alone.
    pub fn prefix_plan(&self) -> FeedPlan {
        FeedPlan {
            with_targets: false,
            ..self.feed_plan(false)
        }
    }

    /// The number of the model's outputs.
    pub fn outputs(&self) -> usize {
        self.answers.outputs.len()
    }

    /// The values of output `index` of the model in the last run.
    pub fn prediction(&self, index: usize) -> &[f32] {
        self.rest.output(self.answers.outputs[index])
    }

    /// The sizes of output `index` of the model in the last run.
    pub fn prediction_shape(&self, index: usize) -> &[usize] {
        self.rest.output_shape(self.answers.outputs[index])
    }

    /// Trained parameters that a gradient reaches, in the model's order.
    pub fn gradients(&self) -> &[(VariableId, usize)] {
        &self.answers.gradients
    }

    /// A trained parameter and its gradient in the last run.
    pub fn gradient(&self, index: usize) -> (VariableId, &[f32]) {
        let (id, output) = self.answers.gradients[index];
        (id, self.rest.output(output))
    }

    /// States with their new values after the last run.
    pub fn updates(&self) -> impl ExactSizeIterator<Item = (VariableId, &[f32])> {
        let updates = self.answers.updates.iter();
        updates.map(|&(id, output)| (id, self.rest.output(output)))
    }

    /// The mask of the model's output `index` in the last run, if it has one: 1 where its steps count.
    pub fn mask(&self, index: usize) -> Option<&[f32]> {
        let output = self.answers.masks[index];
        output.map(|output| self.rest.output(output))
    }

    /// The loss of the last run.
    pub fn loss_value(&self) -> f32 {
        self.number(self.answers.loss.expect("the loss is asked for"))
    }

    /// The losses of the outputs of the last run, if there are several.
    pub fn loss_values(&self) -> impl Iterator<Item = f32> {
        self.answers.parts.iter().map(|&index| self.number(index))
    }

    /// The values and the sizes of a report in the last run.
    pub fn report(&self, index: usize) -> (&[f32], &[usize]) {
        let output = self.answers.reports[index];
        (self.rest.output(output), self.rest.output_shape(output))
    }

    fn number(&self, index: usize) -> f32 {
        self.rest.output(index)[0]
    }
}

/// The shape and the element type of the targets of `loss`.
pub(crate) fn targets_of(
    loss: &LossFunction,
    model: &Model,
    predictions: &Shape,
) -> Result<(Shape, DataType)> {
    let targets = loss.get().and_then(|loss| loss.targets(predictions));
    targets.map_err(|detail| Error::Data(detail.within(&loss.name()).within(model.name())))
}

/// A feature that was computed, as the 32 bits of each element.
fn words(prefix: &BatchWorkspace, index: usize, data_type: DataType) -> &[f32] {
    match data_type {
        DataType::F32 => prefix.output(index),
        DataType::I32 => bytemuck::cast_slice(prefix.output_i32(index)),
    }
}

/// How many of `samples` are run at once.
pub(crate) fn batch_size(workspace: &BatchWorkspace, samples: usize) -> usize {
    match workspace.samples_at_once() {
        Some(most) => most.min(samples.max(1)),
        None => chunk_size(workspace.program(), samples),
    }
}

/// As many samples at once as keep the buffers within a few megabytes: enough to use all cores, few
/// enough to stay in the cache.
pub(crate) fn chunk_size(program: &Program, samples: usize) -> usize {
    const BUDGET: usize = 8 << 20;
    const MOST: usize = 1024;
    // A convolution of one sample may be too small for all cores, and reads all weights anew.
    const LEAST: usize = 8;
    let per_sample = (program.buffer_bytes(MOST) / MOST).max(1);
    (BUDGET / per_sample).clamp(LEAST, MOST).min(samples.max(1))
}

/// The predictions of a run as a tensor of `samples` rows.
pub(crate) fn tensor(shape: &Shape, samples: usize, values: Vec<f32>) -> Result<Tensor> {
    let at = |error: regraft_tensor::Error| Error::Data(error.into());
    Tensor::new(shape.concrete(samples), values).map_err(at)
}
