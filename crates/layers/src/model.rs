//! A model: layers, the calls that connect them, and all their weights in one store.

use std::cell::RefCell;

use regraft_autograd::{DataType, Graph, Shape, Var, VariableId};
use regraft_tensor::kernels::random::Key;
use regraft_tensor::{Detail, Tensor};

use crate::call::{Call, Emission, Mode};
use crate::layer::{LayerKind, LayerSpec};
use crate::layers::Input;
use crate::names::{snake_case, unique_name};
use crate::weight::{Weight, WeightStore, Weights};
use crate::{Error, Freezing, Layer, Result};

/// A network of layers with their weights.
///
/// It is made by [`Sequential`](crate::Sequential) or [`Functional`](crate::Functional), and can be
/// a layer of another model.
#[derive(Clone, Debug)]
pub struct Model {
    pub(crate) name: String,
    pub(crate) topology: Topology,
    pub(crate) store: WeightStore,
    pub(crate) seed: u64,
    pub(crate) revision: u64,
}

/// Layers and how they are connected.
#[derive(Clone, Debug, Default)]
pub(crate) struct Topology {
    /// `Sequential` or `Functional`.
    pub class_name: String,
    pub layers: Vec<Entry>,
    /// In an order in which every value is there before it is used; the result of call `i` is value
    /// `i`.
    pub calls: Vec<LayerCall>,
    pub inputs: Vec<ValueId>,
    pub outputs: Vec<ValueId>,
    /// Whether all layers have their weights and the calls are there.
    pub built: bool,
}

/// The number of a value that flows between layers, within one topology.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId(pub(crate) usize);

/// A layer applied to values; its result is the value with the call's position as number.
#[derive(Clone, Debug)]
pub(crate) struct LayerCall {
    pub layer: usize,
    pub inputs: Vec<ValueId>,
    /// The shape and the element type of the output.
    pub value: ValueSpec,
}

/// What is known of a value before it is computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ValueSpec {
    pub shape: Shape,
    pub data_type: DataType,
}

/// A layer in a model.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub name: String,
    pub body: Body,
    pub freezing: Freezing,
    pub weights: Vec<VariableId>,
    pub input_shapes: Vec<Shape>,
    pub output_shape: Option<Shape>,
    /// The number of the first random stream of its initializers.
    pub stream: u64,
}

#[derive(Clone, Debug)]
pub(crate) enum Body {
    Leaf(std::sync::Arc<dyn Layer>),
    Nested(Box<Topology>),
}

impl Entry {
    pub fn class_name(&self) -> &str {
        match &self.body {
            Body::Leaf(layer) => layer.class_name(),
            Body::Nested(topology) => &topology.class_name,
        }
    }

    /// Whether it is an input layer.
    pub fn is_input(&self) -> bool {
        self.leaf_as::<Input>().is_some()
    }

    /// The layer, if it is an `L`.
    pub fn leaf_as<L: Layer>(&self) -> Option<&L> {
        match &self.body {
            Body::Leaf(layer) => {
                let layer: &dyn std::any::Any = &**layer;
                layer.downcast_ref()
            }
            Body::Nested(_) => None,
        }
    }
}

impl Topology {
    /// Calls `visit` with every entry and its path, nested ones after the model that has them.
    pub fn visit<'a>(&'a self, prefix: &str, visit: &mut impl FnMut(String, &'a Entry)) {
        for entry in &self.layers {
            let path = join(prefix, &entry.name);
            visit(path.clone(), entry);
            if let Body::Nested(topology) = &entry.body {
                topology.visit(&path, visit);
            }
        }
    }

    /// As [`visit`](Self::visit), with entries that may be changed.
    pub fn visit_mut(&mut self, prefix: &str, visit: &mut impl FnMut(&str, &mut Entry)) {
        for entry in &mut self.layers {
            let path = join(prefix, &entry.name);
            visit(&path, entry);
            if let Body::Nested(topology) = &mut entry.body {
                topology.visit_mut(&path, visit);
            }
        }
    }
}

impl Topology {
    /// The layers that users see: of a `Sequential` all but the input, as in Keras.
    pub fn shown(&self) -> impl Iterator<Item = &Entry> {
        let sequential = self.class_name == "Sequential";
        let hidden = move |entry: &&Entry| sequential && entry.is_input();
        self.layers.iter().filter(move |entry| !hidden(entry))
    }

    /// What is known of a value.
    pub fn value(&self, id: ValueId) -> Option<&ValueSpec> {
        self.calls.get(id.0).map(|call| &call.value)
    }

    /// The element types of the inputs.
    pub fn input_types(&self) -> Vec<DataType> {
        let data_type = |&id: &ValueId| self.value(id).map(|value| value.data_type);
        self.inputs
            .iter()
            .map(|id| data_type(id).unwrap_or_default())
            .collect()
    }
}

pub(crate) fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() {
        name.to_string()
    } else {
        format!("{prefix}/{name}")
    }
}

impl Model {
    pub(crate) fn empty(name: &str, class_name: &str) -> Self {
        Model {
            name: name.to_string(),
            topology: Topology {
                class_name: class_name.to_string(),
                ..Topology::default()
            },
            store: WeightStore::default(),
            seed: 0,
            revision: 0,
        }
    }

    /// The model's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives the model a name.
    pub fn set_name(&mut self, name: impl Into<String>) {
        self.name = name.into();
    }

    /// `Sequential` or `Functional`.
    pub fn class_name(&self) -> &str {
        &self.topology.class_name
    }

    /// Whether all layers have their weights.
    pub fn is_built(&self) -> bool {
        self.topology.built
    }

    /// A number that changes with everything that makes compiled programs of this model invalid:
    /// its layers, what is frozen, and the values of frozen weights. Training does not change it.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// All weights in order.
    pub fn weights(&self) -> &WeightStore {
        &self.store
    }

    /// All weights, whose values may be changed. Programs compiled before may hold frozen ones as
    /// they were, so this counts as a new [`revision`](Self::revision).
    pub fn weights_mut(&mut self) -> &mut WeightStore {
        self.revision += 1;
        &mut self.store
    }

    /// All weights, to be trained: only values that are not frozen may be changed.
    pub fn trained_weights_mut(&mut self) -> &mut WeightStore {
        &mut self.store
    }

    /// The weight at `path` (`dense_1/kernel`).
    pub fn weight(&self, path: &str) -> Option<&Weight> {
        self.store.iter().find(|weight| weight.path == path)
    }

    /// Sets the values of the weight at `path`.
    ///
    /// # Errors
    /// [`Error::Name`] if there is no such weight, [`Error::Shape`] if the shape differs; the
    /// model is unchanged then.
    pub fn set_weight(&mut self, path: &str, value: Tensor) -> Result<()> {
        let Some(weight) = self.store.0.iter_mut().find(|weight| weight.path == path) else {
            let paths = self.store.iter().map(Weight::path);
            let help = crate::names::near(path, paths);
            return Err(Error::Name(
                Detail::new(path, "a weight of the model", "none").help(help),
            ));
        };
        if weight.value.shape() != value.shape() {
            let expected = format!("shape {:?}", weight.value.shape());
            let received = format!("{:?}", value.shape());
            return Err(Error::Shape(Detail::new(path, expected, received)));
        }
        weight.value = value;
        self.revision += 1;
        Ok(())
    }

    /// The shapes of the inputs.
    pub fn input_shapes(&self) -> Vec<Shape> {
        let shape = |value: &ValueId| self.value_shape(*value);
        self.topology.inputs.iter().filter_map(shape).collect()
    }

    /// The shapes of the outputs.
    pub fn output_shapes(&self) -> Vec<Shape> {
        let shape = |value: &ValueId| self.value_shape(*value);
        self.topology.outputs.iter().filter_map(shape).collect()
    }

    /// The element types of the inputs.
    pub fn input_types(&self) -> Vec<DataType> {
        self.topology.input_types()
    }

    fn value_shape(&self, value: ValueId) -> Option<Shape> {
        self.topology.value(value).map(|value| value.shape.clone())
    }

    /// Adds a layer that is not connected yet, and returns its position.
    pub(crate) fn insert(&mut self, spec: LayerSpec) -> Result<usize> {
        let class_name = match &spec.kind {
            LayerKind::Leaf(layer) => layer.class_name().to_string(),
            LayerKind::Nested(model) => model.class_name().to_string(),
        };
        let taken = |name: &str| self.topology.layers.iter().any(|entry| entry.name == name);
        let name = match spec.name {
            None => unique_name(&snake_case(&class_name), taken),
            Some(name) if taken(&name) => {
                return Err(Error::Name(
                    Detail::new(
                        &self.name,
                        "layer names that are unique",
                        format!("{name:?} twice"),
                    )
                    .help("give one of them another name with `.named(\"…\")`"),
                ));
            }
            Some(name) if name.is_empty() || name.contains('/') => {
                let received = format!("{name:?}");
                let detail = Detail::new(&self.name, "a layer name without `/`", received);
                return Err(Error::Name(detail));
            }
            Some(name) => name,
        };
        let (body, input_shapes, output_shape) = match spec.kind {
            LayerKind::Leaf(layer) => (Body::Leaf(layer), Vec::new(), None),
            LayerKind::Nested(model) => {
                let (inputs, output) = (model.input_shapes(), model.output_shapes().pop());
                let topology = self.take_over(*model, &name)?;
                (Body::Nested(Box::new(topology)), inputs, output)
            }
        };
        let mut entry = Entry {
            name,
            body,
            freezing: spec.freezing,
            weights: Vec::new(),
            input_shapes,
            output_shape,
            stream: self.next_stream(),
        };
        if let (Body::Nested(topology), Freezing::Frozen) = (&mut entry.body, spec.freezing) {
            topology.visit_mut("", &mut |_, entry| entry.freezing = Freezing::Frozen);
        }
        self.topology.layers.push(entry);
        self.revision += 1;
        Ok(self.topology.layers.len() - 1)
    }

    /// `base`, or with a number if a layer has that name.
    pub(crate) fn free_name(&self, base: &str) -> String {
        unique_name(base, |name| {
            self.topology.layers.iter().any(|entry| entry.name == name)
        })
    }

    fn next_stream(&self) -> u64 {
        let last = self.topology.layers.last();
        last.map_or(0, |entry| entry.stream + 64)
    }

    /// Moves the weights of `model` into this store and returns its topology, renumbered.
    fn take_over(&mut self, model: Model, name: &str) -> Result<Topology> {
        let Model {
            mut topology,
            store,
            name: nested_name,
            ..
        } = model;
        if !topology.built {
            return Err(Error::Model(
                Detail::new(
                    nested_name,
                    "a nested model that is built",
                    "one without input shape",
                )
                .help("begin it with `Input::new([…])`"),
            ));
        }
        let offset = self.store.len();
        topology.visit_mut("", &mut |_, entry| {
            for id in &mut entry.weights {
                id.0 += offset;
            }
        });
        self.store
            .0
            .extend(store.0.into_iter().map(|weight| Weight {
                path: join(name, &weight.path),
                ..weight
            }));
        Ok(topology)
    }

    /// Applies the layer at `position` to `inputs` (none for an input layer): gives it its weights
    /// unless it has them, and returns the number of the result.
    pub(crate) fn connect(&mut self, position: usize, inputs: &[ValueId]) -> Result<ValueId> {
        let value = match self.topology.layers[position].leaf_as::<Input>() {
            Some(input) => ValueSpec {
                shape: input.batch_shape(),
                data_type: input.data_type(),
            },
            None => {
                self.agree_on_types(position, inputs)?;
                let specs = inputs.iter().filter_map(|&id| self.topology.value(id));
                let shapes: Vec<Shape> = specs.map(|value| value.shape.clone()).collect();
                self.build_layer(position, &shapes)?
            }
        };
        let entry = &mut self.topology.layers[position];
        entry
            .output_shape
            .get_or_insert_with(|| value.shape.clone());
        self.topology.calls.push(LayerCall {
            layer: position,
            inputs: inputs.to_vec(),
            value,
        });
        self.revision += 1;
        Ok(ValueId(self.topology.calls.len() - 1))
    }

    /// Checks that the layer at `position` takes values of the types of `inputs`. An input layer
    /// becomes one of integers if such a layer is the first to use it, since files of Keras state
    /// floats there, which Keras converts.
    fn agree_on_types(&mut self, position: usize, inputs: &[ValueId]) -> Result<()> {
        let expected = entry_input_types(&self.topology.layers[position], inputs.len());
        for (&id, expected) in inputs.iter().zip(expected) {
            let topology = &mut self.topology;
            let Some(received) = topology.value(id).map(|value| value.data_type) else {
                continue;
            };
            if received == expected {
                continue;
            }
            let used = topology.calls.iter().any(|call| call.inputs.contains(&id));
            let call = &mut topology.calls[id.0];
            let source = &mut topology.layers[call.layer];
            match source.leaf_as::<Input>().map(Input::to_integers) {
                Some(integers) if expected == DataType::I32 && !used => {
                    source.body = Body::Leaf(std::sync::Arc::new(integers));
                    call.value.data_type = DataType::I32;
                }
                _ => {
                    let received = format!("{received} from {:?}", source.name);
                    let at = &topology.layers[position].name;
                    let help = "token ids come from `Input::integers` and go into an `Embedding`";
                    let detail = Detail::new(at, format!("inputs of {expected}"), received);
                    return Err(Error::Model(detail.help(help)));
                }
            }
        }
        Ok(())
    }

    /// Gives the layer at `position` its weights for inputs of these shapes (unless it has them) and
    /// finds what its output is.
    fn build_layer(&mut self, position: usize, inputs: &[Shape]) -> Result<ValueSpec> {
        let seed = self.seed;
        let entry = &mut self.topology.layers[position];
        if let Body::Leaf(layer) = &entry.body {
            let mut declared = Weights::default();
            let at = |detail: Detail| detail.within(&entry.name);
            layer
                .build(inputs, &mut declared)
                .map_err(|detail| Error::Setting(at(detail)))?;
            if entry.input_shapes.is_empty() && entry.weights.is_empty() {
                for (index, spec) in declared.specs.into_iter().enumerate() {
                    let path = join(&entry.name, &spec.name);
                    let key = Key {
                        seed,
                        stream: entry.stream + index as u64,
                    };
                    let initialize = |detail: Detail| Error::Setting(detail.within(&path));
                    let initializer = spec.initializer.get().map_err(initialize)?;
                    let value = initializer
                        .initialize(&spec.shape, key)
                        .map_err(initialize)?;
                    if let Some(regularizer) = &spec.regularizer {
                        regularizer.get().map_err(initialize)?;
                    }
                    if let Some(constraint) = &spec.constraint {
                        constraint.get().map_err(initialize)?;
                    }
                    entry.weights.push(VariableId(self.store.len()));
                    self.store.0.push(Weight { path, spec, value });
                }
            } else {
                check_weights(entry, &self.store, &declared)?;
            }
        } else if entry.input_shapes != inputs {
            return Err(Error::Shape(Detail::new(
                &entry.name,
                format!("inputs {}", list(&entry.input_shapes)),
                list(inputs),
            )));
        }
        if entry.input_shapes.is_empty() {
            entry.input_shapes = inputs.to_vec();
        }
        self.output_of(position, inputs)
    }

    fn output_of(&self, position: usize, inputs: &[Shape]) -> Result<ValueSpec> {
        let entry = &self.topology.layers[position];
        let graph = Graph::new();
        let inputs: Vec<Var<'_>> = inputs
            .iter()
            .zip(entry_input_types(entry, inputs.len()))
            .map(|(shape, data_type)| graph.input("", shape, data_type))
            .collect();
        let emission = RefCell::new(Emission::default());
        let output = self.call_entry(&graph, Mode::Inference, entry, &inputs, &emission);
        graph.check()?;
        Ok(ValueSpec {
            shape: output.shape(),
            data_type: output.data_type(),
        })
    }

    fn call_entry<'g>(
        &self,
        graph: &'g Graph,
        mode: Mode,
        entry: &Entry,
        inputs: &[Var<'g>],
        emission: &RefCell<Emission<'g>>,
    ) -> Var<'g> {
        graph.scope(&entry.name, || match &entry.body {
            Body::Leaf(layer) => {
                let call = Call::new(graph, mode, entry, &self.store, emission);
                layer.call(&call, inputs)
            }
            Body::Nested(topology) => {
                let outputs = self.call_topology(graph, mode, topology, inputs, emission);
                outputs
                    .first()
                    .copied()
                    .unwrap_or_else(|| graph.number(0.0))
            }
        })
    }

    fn call_topology<'g>(
        &self,
        graph: &'g Graph,
        mode: Mode,
        topology: &Topology,
        inputs: &[Var<'g>],
        emission: &RefCell<Emission<'g>>,
    ) -> Vec<Var<'g>> {
        let mut values: Vec<Option<Var<'g>>> = vec![None; topology.calls.len()];
        for (value, input) in topology.inputs.iter().zip(inputs) {
            values[value.0] = Some(*input);
        }
        for (position, call) in topology.calls.iter().enumerate() {
            if values[position].is_some() {
                continue;
            }
            let operands: Vec<Var<'g>> = call
                .inputs
                .iter()
                .filter_map(|value| values[value.0])
                .collect();
            let entry = &topology.layers[call.layer];
            values[position] = Some(self.call_entry(graph, mode, entry, &operands, emission));
        }
        topology
            .outputs
            .iter()
            .filter_map(|value| values[value.0])
            .collect()
    }

    /// Writes the model into `graph`, applied to `inputs`, and returns its outputs and what goes
    /// with them.
    ///
    /// # Errors
    /// [`Error::Model`] if the model is not built, and what the graph refuses.
    pub fn emit<'g>(
        &self,
        graph: &'g Graph,
        inputs: &[Var<'g>],
        mode: Mode,
    ) -> Result<(Vec<Var<'g>>, Emission<'g>)> {
        self.require_built()?;
        let emission = RefCell::new(Emission::default());
        let outputs = self.call_topology(graph, mode, &self.topology, inputs, &emission);
        graph.check()?;
        Ok((outputs, emission.into_inner()))
    }

    pub(crate) fn require_built(&self) -> Result<()> {
        if self.topology.built {
            return Ok(());
        }
        Err(Error::Model(
            Detail::new(
                &self.name,
                "a model whose input shape is known",
                "one without",
            )
            .help(
                "begin it with `Input::new([…])`, or call `build(&[…])` with the shape of a sample",
            ),
        ))
    }

    /// Drops weights that no layer has any more and renumbers the others.
    pub(crate) fn compact(&mut self) {
        let mut order = Vec::new();
        self.topology.visit("", &mut |_, entry| {
            order.extend(entry.weights.iter().copied())
        });
        let mut renumbered = vec![None; self.store.len()];
        let mut kept = Vec::with_capacity(order.len());
        for id in order {
            if renumbered[id.0].is_none() {
                renumbered[id.0] = Some(VariableId(kept.len()));
                kept.push(self.store.0[id.0].clone());
            }
        }
        self.store.0 = kept;
        self.topology.visit_mut("", &mut |_, entry| {
            for id in &mut entry.weights {
                *id = renumbered[id.0].unwrap_or(*id);
            }
        });
        self.revision += 1;
    }

    /// Numbers of elements: parameters that are trained, parameters that are frozen, and state.
    pub fn count_parameters(&self) -> ParameterCount {
        let mut count = ParameterCount::default();
        self.topology.visit("", &mut |_, entry| {
            for id in &entry.weights {
                let weight = &self.store.0[id.0];
                count.add(weight.spec.kind, entry.freezing, weight.value.len());
            }
        });
        count
    }
}

/// Numbers of elements of a model's weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ParameterCount {
    /// Of parameters that are trained.
    pub trainable: usize,
    /// Of parameters that are frozen.
    pub frozen: usize,
    /// Of statistics and other state, which are never trained.
    pub state: usize,
}

impl ParameterCount {
    /// The sum of the three.
    pub fn total(&self) -> usize {
        self.trainable + self.frozen + self.state
    }
}

/// The element types of `count` inputs of a layer.
fn entry_input_types(entry: &Entry, count: usize) -> Vec<DataType> {
    match &entry.body {
        Body::Leaf(layer) => vec![layer.input_type(); count],
        Body::Nested(topology) => topology.input_types(),
    }
}

/// A layer that has its weights must still fit the inputs it is now given.
fn check_weights(entry: &Entry, store: &WeightStore, declared: &Weights) -> Result<()> {
    for (id, spec) in entry.weights.iter().zip(&declared.specs) {
        let weight = &store.0[id.0];
        if weight.value.shape() != spec.shape {
            return Err(Error::Shape(
                Detail::new(
                    &weight.path,
                    format!("an input for a weight of shape {:?}", weight.value.shape()),
                    format!("one that needs {:?}", spec.shape),
                )
                .help("the layer already has weights for another input shape"),
            ));
        }
    }
    Ok(())
}

fn list(shapes: &[Shape]) -> String {
    shapes
        .iter()
        .map(Shape::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}
