//! Building a model: taking layers in, giving them names and weights, connecting them.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use regraft_autograd::{Graph, Origin, Shape, VariableId};
use regraft_tensor::Detail;
use regraft_tensor::kernels::random::Key;

use crate::contract::emission::{Emission, Mode};
use crate::contract::layer::{LayerKind, LayerSpec};
use crate::contract::weight::{Weight, WeightStore, Weights};
use crate::keras::names::join;
use crate::keras::names::{near, snake_case, unique_name};
use crate::layers::Input;
use crate::models::scene::{Scene, Value};
use crate::models::topology::{Body, DEEPEST, Entry, LayerCall, Topology, ValueId, ValueSpec};
use crate::{ElementType, Error, Freezing, Layer, Model, Result, WeightKind};

impl Model {
    /// Adds a layer that is not connected yet, and returns its position.
    pub(crate) fn insert(&mut self, mut spec: LayerSpec) -> Result<usize> {
        let class_name = match &spec.kind {
            LayerKind::Leaf(layer) => layer.class_name().to_string(),
            LayerKind::Nested(model) => model.class_name().to_string(),
        };
        let taken = |name: &str| self.topology.layers.iter().any(|entry| entry.name == name);
        let name = match spec.name.take() {
            None => self.free_name(&snake_case(&class_name)),
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
        let (path, stream) = (name.clone(), self.next_stream());
        let entry = self.entry(spec, name, &path, stream)?;
        self.topology.layers.push(entry);
        self.revision.renew();
        Ok(self.topology.layers.len() - 1)
    }

    /// A layer at `path` with what it contains, which takes the weights of nested models over.
    pub(crate) fn entry(
        &mut self,
        mut spec: LayerSpec,
        name: String,
        path: &str,
        stream: u64,
    ) -> Result<Entry> {
        let freezing = spec.freezing;
        let (mut wrapped, mut input_shapes, mut output_shapes) =
            (Vec::new(), Vec::new(), Vec::new());
        let body = match spec.kind {
            LayerKind::Leaf(layer) => {
                let within = spec.within.unwrap_or(freezing);
                wrapped = self.wrapped(&*layer, path, within, stream)?;
                if let (false, [inner]) = (layer.writes_wrapped(), wrapped.as_mut_slice()) {
                    // What is in it has the layer's weights.
                    inner.freezing = freezing;
                    inner.alone = std::mem::take(&mut spec.alone);
                    inner.keras2 = spec.keras2;
                }
                for (name, state) in &spec.parts {
                    let mut entries = wrapped.iter_mut();
                    if let Some(part) = entries.find(|entry| entry.name == *name) {
                        part.set_freezing(*state);
                    }
                }
                Body::Leaf(layer)
            }
            LayerKind::Nested(model) => {
                (input_shapes, output_shapes) = (model.input_shapes(), model.output_shapes());
                let mut topology = self.take_over(*model, path)?;
                if freezing == Freezing::Frozen {
                    freeze_all(&mut topology);
                }
                Body::Nested(Box::new(topology))
            }
        };
        Ok(Entry {
            name,
            body,
            freezing,
            alone: spec.alone,
            hidden: false,
            weights: Vec::new(),
            input_shapes,
            output_shapes,
            stream,
            policy: spec.policy,
            keras2: spec.keras2,
            changed_settings: serde_json::Map::new(),
            wrapped,
            attribute: None,
            adapters: Vec::new(),
            merged: None,
            module: None,
        })
    }

    /// The layers that a wrapper at `path` contains, which arrive in this state unless it is trainable.
    fn wrapped(
        &mut self,
        wrapper: &dyn Layer,
        path: &str,
        freezing: Freezing,
        stream: u64,
    ) -> Result<Vec<Entry>> {
        let mut entries: Vec<Entry> = Vec::new();
        for (index, (attribute, mut spec)) in wrapper.wrapped().into_iter().enumerate() {
            let class_name = match &spec.kind {
                LayerKind::Leaf(layer) => layer.class_name(),
                LayerKind::Nested(model) => model.class_name(),
            };
            let base = spec.name.take().unwrap_or_else(|| snake_case(class_name));
            let name = unique_name(&base, |name| entries.iter().any(|entry| entry.name == name));
            if name.is_empty() || name.contains('/') {
                let received = format!("{name:?}");
                let detail = Detail::new(path, "a layer name without `/`", received);
                return Err(Error::Name(detail));
            }
            // Far from the streams of the model's own layers, which are counted.
            let stream = (stream + index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let path = join(path, &name);
            let mut entry = self.entry(spec, name, &path, stream)?;
            entry.attribute = Some(attribute);
            if entry.nesting() + 1 > DEEPEST {
                let expected = format!("at most {DEEPEST} models in each other");
                return Err(Error::Model(Detail::new(path, expected, "more")));
            }
            entry.visit_mut("", &mut |_, entry| keep_within(freezing, entry));
            entries.push(entry);
        }
        Ok(entries)
    }

    /// `base`, or with a number if a layer has that name.
    pub(crate) fn free_name(&self, base: &str) -> String {
        let names = self.topology.layers.iter();
        let names: HashSet<&str> = names.map(|entry| entry.name.as_str()).collect();
        unique_name(base, |name| names.contains(name))
    }

    fn next_stream(&self) -> u64 {
        let streams = self.topology.layers.iter().map(|entry| entry.stream);
        streams.max().map_or(0, |last| last + 64)
    }

    /// Moves the weights of `model` into this store and returns its topology.
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
        if topology.nesting() + 1 > DEEPEST {
            let expected = format!("at most {DEEPEST} models in each other");
            return Err(Error::Model(Detail::new(name, expected, "more")));
        }
        // Keras asks the model that is trained alone, so a part of it hides nothing.
        topology.reveal();
        for weight in store.into_weights() {
            self.store.push(Weight {
                path: join(name, &weight.path),
                ..weight
            });
        }
        Ok(topology)
    }

    /// Applies the layer at `position` to `inputs` (none for an input layer): gives it its weights
    /// unless it has them, and returns the results: one, but for a nested model of several outputs.
    pub(crate) fn connect(&mut self, position: usize, inputs: &[ValueId]) -> Result<Vec<ValueId>> {
        let values = match self.topology.layers[position].leaf_as::<Input>() {
            Some(input) => vec![ValueSpec {
                shape: input.batch_shape(),
                element_type: input.element_type(),
            }],
            None => {
                self.take_strings(position, inputs)?;
                let specs = inputs.iter().filter_map(|&id| self.topology.value(id));
                let specs: Vec<ValueSpec> = specs.cloned().collect();
                self.build_layer(position, &specs)?
            }
        };
        let entry = &mut self.topology.layers[position];
        if entry.output_shapes.is_empty() {
            let shapes = values.iter().map(|value| value.shape.clone());
            entry.output_shapes = shapes.collect();
        }
        self.topology.calls.push(LayerCall {
            layer: position,
            inputs: inputs.to_vec(),
            masks: Vec::new(),
            values,
        });
        self.revision.renew();
        Ok(self.topology.outputs_of(self.topology.calls.len() - 1))
    }

    /// Applies the layer at `position` to the outputs; its results are the outputs then.
    pub(crate) fn append_call(&mut self, position: usize) -> Result<()> {
        let inputs = self.topology.outputs.clone();
        self.topology.output_structure = None;
        self.topology.outputs = self.connect(position, &inputs)?;
        Ok(())
    }

    /// Checks that an input of strings goes into one layer that takes strings, which then works on what it
    /// makes of them.
    fn take_strings(&mut self, position: usize, inputs: &[ValueId]) -> Result<()> {
        for &id in inputs {
            if !self.topology.is_strings(id) {
                continue;
            }
            let mut calls = self.topology.calls.iter();
            let used = calls.any(|call| call.inputs.contains(&id));
            let entry = &mut self.topology.layers[position];
            let taken = match &entry.body {
                Body::Leaf(layer) => layer.of_strings(),
                // What is inside was checked when that model was made.
                Body::Nested(topology) => {
                    let place = inputs.iter().position(|input| *input == id);
                    match place.and_then(|place| topology.looks_up(place)) {
                        Some(_) if !used => continue,
                        _ => None,
                    }
                }
            };
            match taken {
                Some(layer) if !used => entry.body = Body::Leaf(layer),
                _ => {
                    let expected =
                        "an input of strings that goes into one layer that takes strings";
                    let received = match used {
                        true => format!("another one, {:?}", entry.name),
                        false => format!("{:?}, which does not", entry.name),
                    };
                    let detail = Detail::new(&entry.name, expected, received);
                    let help =
                        "these are `StringLookup` and `Hashing`; give each an input of its own";
                    return Err(Error::Model(detail.help(help)));
                }
            }
        }
        Ok(())
    }

    /// Gives the layer at `position` its weights for inputs of these shapes (unless it has them) and
    /// finds what its outputs are.
    fn build_layer(&mut self, position: usize, values: &[ValueSpec]) -> Result<Vec<ValueSpec>> {
        let entry = &mut self.topology.layers[position];
        let path = entry.name.clone();
        build_entry(entry, &path, &mut self.store, self.seed, values)
    }

    /// Drops weights that no layer has any more and puts the others in the layers' order.
    pub(crate) fn compact(&mut self) {
        let weights = std::mem::take(&mut self.store).into_weights();
        let weights = weights.into_iter().map(|weight| (weight.id, weight));
        let mut left: HashMap<VariableId, Weight> = weights.collect();
        let mut kept = WeightStore::default();
        self.topology.visit("", &mut |_, entry| {
            for id in &entry.weights {
                match left.remove(id) {
                    Some(weight) => kept.push(weight),
                    None => debug_assert!(kept.get(*id).is_some(), "a weight of the model"),
                }
            }
        });
        self.store = kept;
        self.revision.renew();
    }
}

/// Puts a layer into the place of one that has no weights yet, and what it contains into that of what that contained.
fn remake(entry: &mut Entry, layer: Arc<dyn Layer>) {
    for (entry, (_, spec)) in entry.wrapped.iter_mut().zip(layer.wrapped()) {
        if let LayerKind::Leaf(layer) = spec.kind {
            remake(entry, layer);
        }
    }
    entry.body = Body::Leaf(layer);
}

/// Gives a layer in a wrapper what the state that it arrives in says.
fn keep_within(arriving: Freezing, entry: &mut Entry) {
    match arriving {
        Freezing::Trainable => {}
        Freezing::FrozenParams => entry.fix_parameters(),
        Freezing::FrozenStatistics => entry.freezing = entry.freezing.as_in_inference(),
        Freezing::Frozen => entry.set_freezing(Freezing::Frozen),
    }
}

/// Freezes a model: its layers, the models in it, and itself.
fn freeze_all(topology: &mut Topology) {
    topology.frozen = true;
    topology.visit_mut("", &mut |_, entry| {
        entry.set_freezing(Freezing::Frozen);
        if let Body::Nested(nested) = &mut entry.body {
            nested.frozen = true;
        }
    });
}

/// Gives a layer, and the layers that it contains, its weights for inputs of these shapes (unless it
/// has them) and finds what its outputs are.
pub(crate) fn build_entry(
    entry: &mut Entry,
    path: &str,
    store: &mut WeightStore,
    seed: u64,
    values: &[ValueSpec],
) -> Result<Vec<ValueSpec>> {
    let inputs: Vec<Shape> = values.iter().map(|value| value.shape.clone()).collect();
    let inputs = inputs.as_slice();
    if let Body::Leaf(layer) = &entry.body {
        let layer = layer.clone();
        let mut declared = Weights {
            as_keras2: entry.keras2,
            ..Weights::default()
        };
        layer
            .check()
            .and_then(|()| layer.build(inputs, &mut declared))
            .map_err(|detail| Error::Setting(detail.within(&entry.name)))?;
        if entry.input_shapes.is_empty() && entry.weights.is_empty() {
            check_alone(entry, &declared)?;
            for (index, spec) in declared.specs.into_iter().enumerate() {
                let path = join(path, &spec.name);
                if spec.shape.contains(&0) {
                    let received = format!("shape {:?}", spec.shape);
                    let help = "a size that the layer computes from its settings or its input is 0";
                    let detail = Detail::new(path, "a weight with elements", received);
                    return Err(Error::Setting(detail.help(help)));
                }
                let key = Key {
                    seed,
                    stream: entry.stream.wrapping_add(index as u64),
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
                let id = VariableId::unique();
                entry.weights.push(id);
                store.push(Weight {
                    id,
                    path,
                    spec,
                    value,
                    state: Origin::unique_number(),
                });
            }
        } else {
            check_weights(entry, store, &declared)?;
        }
        for (index, inner) in entry.wrapped.iter_mut().enumerate() {
            let shapes = layer.wrapped_inputs(index, inputs).into_iter().enumerate();
            // What is called with more values than there are has them of the last one.
            let of_inner = shapes.filter_map(|(at, shape)| {
                let value = values.get(at).or(values.last())?.clone();
                Some(ValueSpec { shape, ..value })
            });
            let of_inner: Vec<ValueSpec> = of_inner.collect();
            if inner.input_shapes.is_empty()
                && let Some(made) = layer.wrapped_layer(index, inputs)
            {
                remake(inner, made);
            }
            let path = join(path, &inner.name);
            let built = build_entry(inner, &path, store, seed, &of_inner);
            let outputs = built.map_err(|error| error.within(&entry.name))?;
            if inner.output_shapes.is_empty() {
                inner.output_shapes = outputs.into_iter().map(|value| value.shape).collect();
            }
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
    outputs_of(entry, store, values)
}

/// What the outputs of a layer are for inputs of these shapes and types.
fn outputs_of(entry: &Entry, store: &WeightStore, inputs: &[ValueSpec]) -> Result<Vec<ValueSpec>> {
    let graph = Graph::new();
    let types: Vec<ElementType> = inputs.iter().map(|input| input.element_type).collect();
    let shapes: Vec<Shape> = inputs.iter().map(|input| input.shape.clone()).collect();
    let inputs: Vec<Value<'_>> = inputs
        .iter()
        .map(|input| Value::new(graph.input("", &input.shape, input.data_type())))
        .collect();
    let emission = RefCell::new(Emission::default());
    let scene = Scene {
        graph: &graph,
        mode: Mode::Inference,
        store,
        emission: &emission,
        formula_alone: false,
    };
    let outputs = scene.call_entry(entry, &inputs, &types);
    graph.check()?;
    let known = match &entry.body {
        Body::Nested(topology) => topology.types(&topology.outputs),
        Body::Leaf(layer) => match (layer.output_types(&shapes, &types), types.first()) {
            (Some(known), _) => known,
            (None, Some(&first)) if layer.takes_any_type() => vec![first; outputs.len()],
            _ => Vec::new(),
        },
    };
    let value = |(index, output): (usize, &Value<'_>)| {
        let of_graph = ElementType::from(output.var.data_type());
        let known = known.get(index).copied();
        ValueSpec {
            shape: output.var.shape(),
            element_type: known.unwrap_or(of_graph),
        }
    };
    Ok(outputs.iter().enumerate().map(value).collect())
}

/// What has a state of its own must be a weight of the layer, and what is trained alone a parameter.
fn check_alone(entry: &Entry, declared: &Weights) -> Result<()> {
    for (name, &trained) in &entry.alone {
        let Some(spec) = declared.specs.iter().find(|spec| spec.name == *name) else {
            let names = declared.specs.iter().map(|spec| spec.name.as_str());
            let detail = Detail::new(&entry.name, "weights of the layer", format!("{name:?}"));
            return Err(Error::Config(detail.help(near(name, names))));
        };
        if trained && spec.kind == WeightKind::State {
            let at = join(&entry.name, name);
            let detail = Detail::new(at, "a parameter, to be trained alone", "a state");
            let help = "a state moves where its layer behaves as in training; leave it out";
            return Err(Error::Config(detail.help(help)));
        }
    }
    Ok(())
}

/// A layer that has its weights must still fit the inputs it is now given.
fn check_weights(entry: &Entry, store: &WeightStore, declared: &Weights) -> Result<()> {
    for (id, spec) in entry.weights.iter().zip(&declared.specs) {
        let weight = &store[*id];
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
