//! The programs that training and evaluation run: the frozen prefix, which is run once per sample
//! where its features are kept, and the rest, which is run at every step.

use regraft_autograd::passes::{optimize, split_at};
use regraft_autograd::{
    DataType, Dim, Feed, Graph, Program, Run, Shape, Tensor, Var, VariableId, Variables, Workspace,
};
use regraft_layers::losses::{Link, LossFunction};
use regraft_layers::{Mode, Model, Trained};

use crate::training::feeds::Feeds;
use crate::training::input::Data;
use crate::training::inputs::Inputs;
use crate::training::objective::Objective;
use crate::{Error, Result};

/// What is asked of a model: the programs for it, and where to find their results.
#[derive(Debug)]
pub(crate) struct Steps {
    prefix: Option<Workspace>,
    rest: Workspace,
    /// The inputs of the whole: the model's, then the targets, then the sample weights.
    input_count: usize,
    /// The inputs that the rest still needs.
    rest_inputs: Vec<usize>,
    /// For each feature the number of elements of a sample.
    feature_rows: Vec<usize>,
    /// For each feature the type of its elements.
    feature_types: Vec<DataType>,
    pub loss: Option<usize>,
    /// The number of the model's outputs, which come first.
    pub outputs: usize,
    /// The losses of the outputs, if there are several.
    pub losses: Vec<usize>,
    /// Of each output what makes probabilities of it, where its loss takes it for logits.
    pub links: Vec<Option<Link>>,
    /// For each output of the model its mask, if it has one.
    masks: Vec<Option<usize>>,
    /// Trained parameters, each with the output that is its gradient.
    pub gradients: Vec<(VariableId, usize)>,
    /// States, each with the output that is its new value.
    pub updates: Vec<(VariableId, usize)>,
    /// Which weights the program may write.
    pub trained: Trained,
    /// If no gradient reaches anything, the ops at which they stop.
    pub stopped_at: Vec<String>,
}

/// What a step is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose<'a> {
    Train {
        objective: &'a Objective,
        weighted: bool,
    },
    Evaluate {
        objective: &'a Objective,
        weighted: bool,
    },
}

impl Steps {
    /// Writes the model into a graph, differentiates, and compiles.
    ///
    /// With `keep_features`, the frozen prefix becomes a program of its own.
    pub fn new(model: &Model, purpose: Purpose<'_>, keep_features: bool) -> Result<Steps> {
        let graph = Graph::new();
        let inputs = Inputs::of(model)?.in_graph(&graph);
        let mode = match purpose {
            Purpose::Train { .. } => Mode::Training,
            Purpose::Evaluate { .. } => Mode::Inference,
        };
        let (outputs, emission) = model.emit(&graph, &inputs, mode)?;
        let output_count = outputs.len();
        let mut asked = outputs;
        let mut steps = StepOutputs::default();
        let (Purpose::Train {
            objective,
            weighted,
        }
        | Purpose::Evaluate {
            objective,
            weighted,
        }) = purpose;
        let mut targets = Vec::with_capacity(output_count);
        for (loss, predictions) in objective.losses(model)?.into_iter().zip(&asked) {
            let (shape, data_type) = targets_of(loss, model, &predictions.shape())?;
            targets.push(graph.input("targets", shape, data_type));
            steps
                .links
                .push(loss.get().ok().and_then(|loss| loss.link(*predictions)));
        }
        let weights = weighted.then(|| graph.input("sample_weight", [Dim::Batch], DataType::F32));
        let (mut total, parts) =
            objective.apply(model, &targets, &asked, &emission.masks, weights)?;
        for &penalty in &emission.penalties {
            total = total + penalty;
        }
        steps.loss = Some(asked.len());
        asked.push(total.named("loss"));
        if output_count > 1 {
            steps.losses = (asked.len()..asked.len() + parts.len()).collect();
            asked.extend(parts);
        }
        for mask in &emission.masks {
            steps.masks.push(mask.is_some().then_some(asked.len()));
            asked.extend(*mask);
        }
        if let Purpose::Train { .. } = purpose {
            let wrt: Vec<Var<'_>> = emission.trainable.iter().map(|(_, var)| *var).collect();
            let gradients = graph.gradients(total, &wrt)?;
            // What no gradient reaches is left alone, weight decay included, as Keras leaves it.
            for ((id, _), gradient) in emission.trainable.iter().zip(gradients.values) {
                if let Some(gradient) = gradient {
                    steps.gradients.push((*id, asked.len()));
                    asked.push(gradient);
                }
            }
            steps.stopped_at = gradients.stopped_at;
            for &(id, value) in &emission.updates {
                steps.updates.push((id, asked.len()));
                asked.push(value);
            }
        }
        graph.check()?;
        let input_count = graph.input_count();
        let nodes = optimize(&graph.nodes_for(&asked));
        let split = keep_features
            .then(|| split_at(&nodes, inputs.len(), input_count))
            .flatten();
        let (prefix, rest, rest_inputs) = match split {
            Some(split) => (Some(split.prefix), split.rest, split.rest_inputs),
            None => (None, nodes, (0..input_count).collect()),
        };
        let features = prefix.iter().flat_map(|prefix| {
            let node = |&output| prefix.node(output);
            prefix.outputs().iter().map(node)
        });
        Ok(Steps {
            feature_rows: features.clone().map(|node| node.shape.len(1)).collect(),
            feature_types: features.map(|node| node.data_type).collect(),
            prefix: prefix.map(|prefix| Program::from_nodes(prefix).workspace()),
            rest: Program::from_nodes(rest).workspace(),
            input_count,
            rest_inputs,
            loss: steps.loss,
            outputs: output_count,
            losses: steps.losses,
            links: steps.links,
            masks: steps.masks,
            gradients: steps.gradients,
            updates: steps.updates,
            trained: emission.trained(),
            stopped_at: steps.stopped_at,
        })
    }

    /// The program that is run at every step.
    pub fn rest(&self) -> &Program {
        self.rest.program()
    }

    /// The program whose results can be kept, if there is one.
    pub fn prefix(&self) -> Option<&Program> {
        self.prefix.as_ref().map(Workspace::program)
    }

    /// Bytes of the features of one sample.
    pub fn feature_bytes(&self) -> usize {
        4 * self.feature_rows.iter().sum::<usize>()
    }

    /// Runs the prefix once over all samples and returns its features.
    pub fn features<V: Variables + ?Sized>(
        &mut self,
        inputs: &[Data<'_>],
        variables: &V,
    ) -> Result<Features> {
        let samples = inputs.first().map_or(0, Data::len);
        let mut features = Features(
            self.feature_rows
                .iter()
                .map(|row| Vec::with_capacity(row * samples))
                .collect(),
        );
        let Some(prefix) = &mut self.prefix else {
            return Ok(features);
        };
        let chunk = chunk_size(prefix.program(), samples);
        let mut buffers = vec![Vec::new(); inputs.len()];
        let mut from = 0;
        while from < samples {
            let to = (from + chunk).min(samples);
            let given = inputs.iter().zip(&mut buffers);
            let mut feeds: Vec<Feed<'_>> = given
                .map(|(data, buffer)| data.feed(from, to, buffer))
                .collect();
            feeds.resize(self.input_count, Feed::F32(&[]));
            prefix.run(to - from, &feeds, variables, Run::default())?;
            for (index, rows) in features.0.iter_mut().enumerate() {
                rows.extend_from_slice(prefix.output(index));
            }
            from = to;
        }
        Ok(features)
    }

    /// Runs one step on a batch: from features if they are fed, else from the inputs through the
    /// prefix.
    pub fn run<V: Variables + ?Sized>(
        &mut self,
        batch: &Batch<'_>,
        variables: &V,
        run: Run,
    ) -> Result<()> {
        let mut feeds = batch.feeds.clone();
        if let (Some(prefix), false) = (&mut self.prefix, batch.features_fed) {
            prefix.run(batch.samples, feeds.as_slice(), variables, run)?;
            for index in 0..self.feature_rows.len() {
                let feed = feed_of(self.feature_types[index], prefix.output(index));
                feeds.set(self.input_count + index, feed);
            }
        }
        self.rest
            .run(batch.samples, feeds.as_slice(), variables, run)?;
        Ok(())
    }

    /// What a batch must be made of, if features are fed (or not).
    pub fn feed_plan(&self, features_fed: bool) -> FeedPlan {
        let prefix_runs = self.prefix.is_some() && !features_fed;
        let needed = |index: usize| prefix_runs || self.rest_inputs.contains(&index);
        FeedPlan {
            inputs: (0..self.input_count).map(needed).collect(),
            features: self.feature_rows.clone(),
            feature_types: self.feature_types.clone(),
        }
    }

    /// The sizes of output `index` in the last run.
    pub fn output_shape(&self, index: usize) -> &[usize] {
        self.rest.output_shape(index)
    }

    /// The result of the last run at output `index`.
    pub fn output(&self, index: usize) -> &[f32] {
        self.rest.output(index)
    }

    /// The mask of the model's output `index` in the last run, if it has one: 1 where its steps count.
    pub fn mask(&self, index: usize) -> Option<&[f32]> {
        let output = self.masks.get(index).copied().flatten();
        output.map(|output| self.rest.output(output))
    }

    /// Whether the loss of a batch is divided by what masks say counts in it, so that the mean of the
    /// batches' losses depends on how the samples are divided.
    pub fn is_masked(&self) -> bool {
        self.masks.iter().any(Option::is_some)
    }

    /// The loss of the last run; 0 without a loss.
    pub fn loss_value(&self) -> f32 {
        self.loss.map_or(0.0, |index| self.number(index))
    }

    /// The losses of the outputs of the last run, if there are several outputs.
    pub fn loss_values(&self) -> impl Iterator<Item = f32> {
        self.losses.iter().map(|&index| self.number(index))
    }

    fn number(&self, index: usize) -> f32 {
        self.rest.output(index).first().copied().unwrap_or(0.0)
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

#[derive(Default)]
struct StepOutputs {
    loss: Option<usize>,
    losses: Vec<usize>,
    links: Vec<Option<Link>>,
    masks: Vec<Option<usize>>,
    gradients: Vec<(VariableId, usize)>,
    updates: Vec<(VariableId, usize)>,
    stopped_at: Vec<String>,
}

/// Features of all samples, one list of rows per output of the prefix.
#[derive(Debug, Default)]
pub(crate) struct Features(pub Vec<Vec<f32>>);

/// What one step is fed.
#[derive(Clone, Debug)]
pub(crate) struct Batch<'a> {
    pub samples: usize,
    pub feeds: Feeds<'a>,
    /// Whether the features are among the feeds.
    pub features_fed: bool,
}

/// What a batch must be made of.
#[derive(Clone, Debug, Default)]
pub(crate) struct FeedPlan {
    /// For each input of the whole whether it is read.
    pub inputs: Vec<bool>,
    /// For each feature the number of elements of a sample.
    pub features: Vec<usize>,
    /// For each feature the type of its elements.
    pub feature_types: Vec<DataType>,
}

/// Elements of a feature, which are kept as the 32 bits that they are.
pub(crate) fn feed_of(data_type: DataType, words: &[f32]) -> Feed<'_> {
    match data_type {
        DataType::F32 => Feed::F32(words),
        DataType::I32 => Feed::I32(bytemuck::cast_slice(words)),
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
