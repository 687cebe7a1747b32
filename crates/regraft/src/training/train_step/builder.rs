//! Where the loss of a step is written.

use std::collections::HashSet;

use regraft_autograd::{DataType, Dim, Error as GraphError, Graph, NodeId, Shape, Var, VariableId};
use regraft_layers::{
    Emission, IntoSelector, Loss, LossFunction, Mode, Model as Network, Weight, WeightKind, near,
};
use regraft_tensor::Detail;

use super::Written;
use super::step_data::{Fed, FedArray, require_finite};
use crate::training::frozen_precision::Calibrated;
use crate::training::protocol::{Asked, Questions, Role};
use crate::training::rates::Rates;
use crate::training::steps::Steps;
use crate::{Error, Model, Result};

/// The values that the loss of a [`train_step`](Model::train_step) is written with. They are values of a graph:
/// `+`, `*` and all methods of [`Var`] work on them. What is wrong in a formula is told by `train_step`, with
/// its place.
#[derive(Debug)]
pub struct StepBuilder<'g> {
    graph: &'g Graph,
    model: &'g Network,
    inputs: Vec<Var<'g>>,
    outputs: Option<Vec<Var<'g>>>,
    /// What all uses of the model have given together.
    emission: Option<Emission<'g>>,
    masks: Vec<(NodeId, Var<'g>)>,
    fed: Fed,
    reports: Vec<(String, Var<'g>)>,
    live: Vec<(u64, String)>,
    only: Option<HashSet<VariableId>>,
    penalties: bool,
    rates: Rates,
    error: Option<Error>,
    /// With what numbers frozen layers are computed, if not with 32-bit floats.
    precision: Option<&'g Calibrated>,
}

impl<'g> StepBuilder<'g> {
    pub(super) fn new(
        graph: &'g Graph,
        model: &'g Network,
        inputs: Vec<Var<'g>>,
        precision: Option<&'g Calibrated>,
    ) -> Self {
        StepBuilder {
            graph,
            model,
            inputs,
            outputs: None,
            emission: None,
            masks: Vec::new(),
            fed: Fed::default(),
            reports: Vec::new(),
            live: Vec::new(),
            only: None,
            penalties: true,
            rates: Rates::default(),
            error: None,
            precision,
        }
    }

    /// The graph that is written into, for constants and ops of one's own.
    pub fn graph(&self) -> &'g Graph {
        self.graph
    }

    /// The model's input at `index`: the first arrays that a run is given.
    pub fn input(&mut self, index: usize) -> Var<'g> {
        let inputs = self.inputs();
        self.at("input", &inputs, index)
    }

    /// All inputs of the model.
    pub fn inputs(&mut self) -> Vec<Var<'g>> {
        self.fed.takes_inputs = true;
        self.inputs.clone()
    }

    /// An array that is fed at each run, of `sample` behind the batch axis, and called `name`:
    /// `feed("y", &[10])`, `feed("weight", &[])`.
    pub fn feed(&mut self, name: &str, sample: &[usize]) -> Var<'g> {
        self.feed_as(name, sample, DataType::F32)
    }

    /// As [`feed`](Self::feed), of integers: class numbers for a loss that takes them.
    pub fn feed_classes(&mut self, name: &str, sample: &[usize]) -> Var<'g> {
        self.feed_as(name, sample, DataType::I32)
    }

    fn feed_as(&mut self, name: &str, sample: &[usize], data_type: DataType) -> Var<'g> {
        let shape = Shape::batch_of(sample);
        let index = self.graph.input_count();
        let var = self.graph.input(name, shape.clone(), data_type);
        self.fed.arrays.push(FedArray {
            name: name.to_string(),
            index,
            node: var.id(),
            shape,
            data_type,
            classes: None,
        });
        var
    }

    /// A number that stays the same from run to run until it is [set](super::TrainStep::set): a temperature, the
    /// weight of a term.
    pub fn number(&mut self, name: &str, value: f32) -> Var<'g> {
        if let Err(error) = require_finite(name, value) {
            self.fail(error);
        }
        let index = self.graph.input_count();
        self.fed.numbers.push((name.to_string(), index, value));
        let shape = Shape::from(Vec::<Dim>::new());
        self.graph.input(name, shape, DataType::F32)
    }

    /// The output at `index` of the model applied to its inputs, in training.
    pub fn output(&mut self, index: usize) -> Var<'g> {
        let outputs = self.outputs();
        self.at("output", &outputs, index)
    }

    /// All outputs of the model applied to its inputs, in training.
    pub fn outputs(&mut self) -> Vec<Var<'g>> {
        if let Some(outputs) = &self.outputs {
            return outputs.clone();
        }
        let inputs = self.inputs();
        let outputs = self.apply(&inputs);
        self.outputs = Some(outputs.clone());
        outputs
    }

    /// The outputs of the model applied to something else, in training: mixed or adversarial samples, what
    /// another model has made. The weights are the same, and their gradients are those of all uses together;
    /// states go on from use to use.
    ///
    /// # Errors
    /// Values that do not fit the model's inputs.
    pub fn call(&mut self, inputs: &[Var<'g>]) -> Result<Vec<Var<'g>>> {
        fits(self.model, inputs)?;
        Ok(self.apply(inputs))
    }

    /// The output of the layer at `path` (of a name, or the end of a path), in the last use of the model.
    pub fn value(&mut self, path: &str) -> Var<'g> {
        if self.emission.is_none() {
            self.outputs();
        }
        let layer = match self.model.get_layer(path) {
            Ok(layer) => layer.path().to_string(),
            Err(error) => return self.fail(error.into()),
        };
        let value = self.emission.as_ref().and_then(|it| it.value(&layer));
        value.unwrap_or_else(|| {
            let detail = Detail::new(path, "a layer that the model's outputs need", "another");
            self.fail(Error::Model(detail))
        })
    }

    /// The weight at `path`: a variable, or a constant if it is frozen.
    pub fn weight(&mut self, path: &str) -> Var<'g> {
        if self.emission.is_none() {
            self.outputs();
        }
        let Some(weight) = self.model.weight(path) else {
            let paths = self.model.weights().iter().map(Weight::path);
            let detail = Detail::new(path, "a weight of the model", "none").help(near(path, paths));
            return self.fail(Error::Model(detail));
        };
        let id = weight.id();
        let value = self.emission.as_ref().and_then(|it| it.weight(id));
        value.unwrap_or_else(|| {
            let detail = Detail::new(path, "a weight that the model's outputs need", "another");
            self.fail(Error::Model(detail))
        })
    }

    /// The outputs of another model as it is now, in inference: all its weights are constants of the step. A
    /// teacher's answers to the model's own inputs are among what [`keep`](super::TrainStep::keep) keeps.
    ///
    /// # Errors
    /// A model without shapes, or values that do not fit its inputs.
    pub fn frozen(&mut self, other: &Model, inputs: &[Var<'g>]) -> Result<Vec<Var<'g>>> {
        self.other(other, inputs, Mode::Constant)
    }

    /// The outputs of another model, in inference, whose weights are read at each
    /// [`run_with`](super::TrainStep::run_with) and never moved by this step: the discriminator that a
    /// generator learns from. Gradients pass through it.
    ///
    /// # Errors
    /// As [`frozen`](Self::frozen), and the model that is trained itself, which is [called](Self::call).
    pub fn live(&mut self, other: &Model, inputs: &[Var<'g>]) -> Result<Vec<Var<'g>>> {
        let revision = other.network.revision();
        if revision == self.model.revision() {
            let detail = Detail::new(other.name(), "another model", "the one that is trained");
            return Err(Error::Model(detail.help("use `call`")));
        }
        if !self.live.iter().any(|(known, _)| *known == revision) {
            self.live.push((revision, other.name().to_string()));
        }
        self.other(other, inputs, Mode::Inference)
    }

    fn other(&mut self, other: &Model, inputs: &[Var<'g>], mode: Mode) -> Result<Vec<Var<'g>>> {
        fits(&other.network, inputs)?;
        let emit = || other.network.emit(self.graph, inputs, mode);
        let (outputs, emission) = self.graph.scope(other.name(), emit)?;
        self.mask(&outputs, &emission);
        Ok(outputs)
    }

    /// Trains the picked weights alone: no gradient is made of the others, which other steps may train.
    /// States move as they do in training; a kernel that a layer normalizes in training is stored if it is
    /// picked.
    ///
    /// # Errors
    /// A selector that picks nothing.
    pub fn only(&mut self, selector: impl IntoSelector) -> Result<()> {
        let paths = self.model.select_weights(selector)?.into_iter();
        let ids = paths.filter_map(|path| Some(self.model.weight(&path)?.id()));
        self.only = Some(ids.collect());
        Ok(())
    }

    /// Multiplies the learning rate of the picked weights, as [`Fit::learning_rate_scale`](crate::Fit) does.
    pub fn learning_rate_scale(&mut self, selector: impl IntoSelector, factor: f32) {
        self.rates.scales.push((selector.into_selector(), factor));
    }

    /// Gives the picked weights this weight decay in the place of the optimizer's, as
    /// [`Fit::weight_decay`](crate::Fit) does.
    pub fn weight_decay(&mut self, selector: impl IntoSelector, decay: f32) {
        self.rates.decays.push((selector.into_selector(), decay));
    }

    /// Lets layers learn the slower the farther they are from the head, as [`Fit::layer_decay`](crate::Fit)
    /// does.
    pub fn layer_decay(&mut self, decay: f32) {
        self.rates.layer_decay = Some(decay);
    }

    /// Leaves regularizers and other penalties of the model out of the loss.
    pub fn without_penalties(&mut self) {
        self.penalties = false;
    }

    /// The loss of `outputs` as `fit` computes it, a number: by Keras' name or as a value. Where `outputs` are
    /// a model's that have a mask, what it leaves out does not count; class numbers that are fed as `targets`
    /// are checked at each run.
    pub fn loss(
        &mut self,
        loss: impl Into<LossFunction>,
        targets: Var<'g>,
        outputs: Var<'g>,
    ) -> Var<'g> {
        let loss = loss.into();
        let fed = self.fed.arrays.iter_mut();
        if let Some(fed) = fed.filter(|fed| fed.node == targets.id()).last() {
            let classes = outputs.shape().dims().last().map_or(0, |dim| dim.size(1));
            let ignored = loss.get().ok().and_then(Loss::ignored_class);
            fed.classes = (fed.data_type == DataType::I32).then_some((classes, ignored));
        }
        let mask = self.masks.iter().find(|(node, _)| *node == outputs.id());
        let mask = mask.map(|(_, mask)| *mask);
        let apply = || loss.apply_masked(targets, outputs, None, mask);
        self.graph.scope(&loss.name(), apply)
    }

    /// The gradient of `of` (of its sum, if it is no number) with respect to `wrt`, which it must depend on. It is
    /// a value as any other, and can be differentiated again.
    pub fn gradient(&mut self, of: Var<'g>, wrt: Var<'g>) -> Var<'g> {
        let number = match of.shape().rank() {
            0 => of,
            _ => of.sum_all(),
        };
        let found = match self.graph.gradients(number, &[wrt]) {
            Ok(found) => found,
            Err(error) => return self.fail(error.into()),
        };
        found.values[0].unwrap_or_else(|| {
            let received = match found.stopped_at.as_slice() {
                [] => "one that does not depend on it".to_string(),
                ops => format!("gradients stop at {}", ops.join(", ")),
            };
            let detail = Detail::new("gradient", "a value that a gradient reaches", received);
            self.fail(GraphError::Gradient(detail).into())
        })
    }

    /// Makes a value known after each run: numbers are among the [`Scores`](crate::Scores), and
    /// [`TrainStep::report`](super::TrainStep::report) has arrays, too.
    pub fn report(&mut self, name: &str, value: Var<'g>) {
        self.reports.push((name.to_string(), value.to_f32()));
    }

    /// Writes the model, applied to `inputs`, into the graph.
    fn apply(&mut self, inputs: &[Var<'g>]) -> Vec<Var<'g>> {
        let (graph, mode) = (self.graph, Mode::Training);
        let written = match self.emission.take() {
            None => self.model.emit(graph, inputs, mode),
            Some(before) => self.model.emit_again(graph, inputs, mode, before),
        };
        match written {
            Ok((outputs, emission)) => {
                self.mask(&outputs, &emission);
                self.emission = Some(emission);
                outputs
            }
            Err(error) => {
                let nothing = self.fail(error.into());
                vec![nothing; self.model.output_shapes().len()]
            }
        }
    }

    fn mask(&mut self, outputs: &[Var<'g>], emission: &Emission<'g>) {
        let masked = outputs.iter().zip(&emission.masks);
        let masked = masked.filter_map(|(output, mask)| Some((output.id(), (*mask)?)));
        self.masks.extend(masked);
    }

    fn at(&mut self, what: &str, values: &[Var<'g>], index: usize) -> Var<'g> {
        values.get(index).copied().unwrap_or_else(|| {
            let expected = format!("one of the {} {what}s of the model", values.len());
            self.fail(Error::Model(Detail::new(what, expected, index)))
        })
    }

    /// Remembers the first thing that was wrong; what stands in the place of the value does not matter.
    fn fail(&mut self, error: Error) -> Var<'g> {
        self.error.get_or_insert(error);
        self.graph.number(0.0)
    }

    /// Differentiates and compiles.
    pub(super) fn finish(self, loss: Var<'g>) -> Result<Written> {
        if let Some(error) = self.error {
            return Err(error);
        }
        self.graph.check()?;
        self.rates.check()?;
        let Some(emission) = self.emission else {
            let expected = "a loss that depends on the model";
            let detail = Detail::new(self.model.name(), expected, "one without it");
            let help = "write it with `step.output(0)` or `step.call(…)`";
            return Err(Error::Model(detail.help(help)));
        };
        let mut total = loss;
        if self.penalties {
            for &penalty in &emission.penalties {
                total = total + penalty;
            }
        }
        let is_trained = |id: &VariableId| self.only.as_ref().is_none_or(|only| only.contains(id));
        let trainable = emission.trainable.iter().copied();
        let trainable: Vec<(VariableId, Var<'g>)> =
            trainable.filter(|(id, _)| is_trained(id)).collect();
        // States move; what a layer assigns to a parameter is stored if the parameter is trained.
        let mut updates = emission.updates.clone();
        let is_state = |id: VariableId| self.model.weights()[id].kind() == WeightKind::State;
        updates.retain(|(id, _)| is_state(*id) || is_trained(id));
        let mut questions = Questions::default();
        questions.ask(Asked::Loss, total.named("loss"));
        questions.ask_training(total, &trainable, &updates)?;
        for (index, (_, value)) in self.reports.iter().enumerate() {
            questions.ask(Asked::Report(index), *value);
        }
        let written = trainable.iter().chain(&updates);
        let written: HashSet<VariableId> = written.map(|(id, _)| *id).collect();
        let trained = emission.trained().only(|id| written.contains(&id));
        let mut roles: Vec<Role> = (0..self.inputs.len()).map(Role::Input).collect();
        roles.resize(self.graph.input_count(), Role::Fed);
        let reports = self.reports.into_iter().map(|(name, _)| name);
        let precision = self.precision.map(|precision| (precision, None));
        Ok(Written {
            steps: Steps::compile(self.graph, questions, roles, true, trained, precision)?,
            fed: self.fed,
            reports: reports.collect(),
            live: self.live,
            rates: self.rates,
        })
    }
}

/// Refuses values that are not what `model` takes.
fn fits(model: &Network, given: &[Var<'_>]) -> Result<()> {
    let expected = model.input_shapes();
    let at = |index: usize| format!("input {index} of {:?}", model.name());
    if given.len() != expected.len() {
        let inputs = format!("{} values, one per input", expected.len());
        return Err(Error::Model(Detail::new(model.name(), inputs, given.len())));
    }
    for (index, (given, expected)) in given.iter().zip(expected).enumerate() {
        if given.shape() != expected {
            let detail = Detail::new(at(index), format!("shape {expected}"), given.shape());
            return Err(Error::Model(detail));
        }
    }
    Ok(())
}
