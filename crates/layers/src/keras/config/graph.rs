//! The configuration of a functional model: layers, and which calls of which layers feed which.
//!
//! The connections are followed in any order in which they can be, without recursion, so that a file
//! with a thousand layers in a chain is read like any other, and one with a cycle is refused.

use std::collections::HashMap;

use regraft_tensor::Detail;
use serde_json::{Map, Value};

use super::call_arguments::{self, Told};
use super::operation;
use super::read::{Reader, as_in_inference};
use super::reference::{Reference, read_history};
use super::shared::FIRST_CALL;
use super::support::{without_slashes, wrong};
use crate::contract::layer::{LayerKind, LayerSpec};
use crate::keras::names::near;
use crate::models::structure::Structure;
use crate::models::topology::ValueId;
use crate::settings::brief;
use crate::{Error, Functional, LayerOutput, Model, Result};

/// A call of a layer, by the layer's position and the number of the call.
type Node = (usize, usize);

/// A result of a call: the call, and which of its outputs.
type Output = (Node, usize);

/// A layer of the file.
struct Layer {
    name: String,
    /// What each call takes; one call without anything for an input layer.
    calls: Vec<Call<Output>>,
    /// The results of the calls made so far.
    values: Vec<Vec<ValueId>>,
    /// Where the layer is in the builder.
    position: usize,
}

/// What a call takes: values, and the masks that were given with them (none, or one for each).
#[derive(Clone)]
struct Call<T> {
    inputs: Vec<T>,
    masks: Vec<Option<T>>,
}

impl<T> Call<T> {
    /// A call without masks.
    fn of(inputs: Vec<T>) -> Self {
        let masks = Vec::new();
        Call { inputs, masks }
    }

    /// All that it takes.
    fn operands(&self) -> impl Iterator<Item = &T> {
        self.inputs.iter().chain(self.masks.iter().flatten())
    }

    /// The same of other values.
    fn try_map<U>(&self, mut map: impl FnMut(&T) -> Result<U>) -> Result<Call<U>> {
        let inputs: Result<Vec<U>> = self.inputs.iter().map(&mut map).collect();
        let masks = self.masks.iter();
        let masks: Result<Vec<Option<U>>> = masks
            .map(|mask| mask.as_ref().map(&mut map).transpose())
            .collect();
        Ok(Call {
            inputs: inputs?,
            masks: masks?,
        })
    }
}

/// The calls of a layer, the `training` of each, and what else all of them are told.
type Nodes<'v> = (
    Vec<Call<Reference<'v>>>,
    Vec<Option<bool>>,
    Map<String, Value>,
);

/// Reads the calls of a layer.
fn read_nodes(layer: &Value) -> Result<Nodes<'_>, Detail> {
    let class_name = layer["class_name"].as_str().unwrap_or_default();
    let (mut calls, mut training) = (Vec::new(), Vec::new());
    let mut told: Option<Map<String, Value>> = None;
    for node in layer["inbound_nodes"].as_array().into_iter().flatten() {
        let (call, of_call, told_here) = read_node(node, class_name)?;
        calls.push(call);
        training.push(of_call);
        let told_here = told_here.settings();
        if told.as_ref().is_some_and(|told| *told != told_here) {
            let expected = "calls that are all told the same";
            let received = "several with different arguments";
            return Err(Detail::new("inbound_nodes", expected, received));
        }
        told = Some(told_here);
    }
    Ok((calls, training, told.unwrap_or_default()))
}

impl Reader<'_> {
    /// A layer with what its calls are told among its settings.
    fn told_layer(
        &self,
        value: &Value,
        told: Map<String, Value>,
        depth: usize,
    ) -> Result<LayerSpec> {
        if told.is_empty() {
            return self.layer(value, depth);
        }
        let mut value = value.clone();
        told.into_iter()
            .for_each(|(key, setting)| value[key] = setting);
        self.layer(&value, depth)
    }

    /// A functional model.
    pub(super) fn functional(&self, config: &Value, depth: usize) -> Result<Model> {
        let Some(values) = config["layers"].as_array() else {
            return Err(wrong(
                "layers",
                "a list of layers",
                brief(&config["layers"]),
            ));
        };
        let mut builder = Functional::new();
        let mut layers: Vec<Layer> = Vec::with_capacity(values.len());
        let mut nested = Vec::with_capacity(values.len());
        let mut references = Vec::with_capacity(values.len());
        for value in values {
            let given = value["name"].as_str();
            let at = |detail: Detail| Error::Config(detail.within(given.unwrap_or_default()));
            let (mut spec, mut calls, training) = match operation::read(value).map_err(at)? {
                Some((operation, inputs)) => (
                    LayerSpec::from(operation),
                    vec![Call::of(inputs)],
                    Vec::new(),
                ),
                None => {
                    let (calls, training, told) = read_nodes(value).map_err(at)?;
                    (self.told_layer(value, told, depth)?, calls, training)
                }
            };
            let name = given.map(str::to_string).or(spec.name.take());
            let name = name.unwrap_or_else(|| format!("layer_{}", layers.len()));
            if let LayerKind::Nested(model) = &spec.kind {
                calls
                    .iter_mut()
                    .for_each(|call| by_input_names(model, call));
            }
            if training.contains(&Some(false)) {
                as_in_inference(&mut spec);
            }
            nested.push(matches!(&spec.kind, LayerKind::Nested(_)));
            references.push(calls);
            let spec: LayerSpec = spec.named(without_slashes(&name));
            layers.push(Layer {
                position: builder.insert(spec)?,
                name,
                calls: Vec::new(),
                values: Vec::new(),
            });
        }
        let names: HashMap<String, usize> = layers
            .iter()
            .enumerate()
            .map(|(position, layer)| (layer.name.clone(), position))
            .collect();
        // A layer that stands elsewhere too has calls there, which are counted.
        let first_call = |value: &Value| value[FIRST_CALL].as_u64().unwrap_or(0) as usize;
        let first_calls: Vec<usize> = values.iter().map(first_call).collect();
        let find = |reference: &Reference<'_>| -> Result<Output> {
            let Some(&layer) = names.get(reference.name) else {
                let received = format!("{:?}", reference.name);
                let detail = Detail::new("", "the name of a layer of the model", received);
                let help = near(reference.name, names.keys().map(String::as_str));
                return Err(Error::Config(detail.help(help)));
            };
            let from_one = nested[layer] && reference.keras2;
            let before = usize::from(from_one) + first_calls[layer];
            let call = reference.call.saturating_sub(before);
            Ok(((layer, call), reference.output))
        };
        for (position, calls) in references.iter().enumerate() {
            for call in calls {
                let name = &layers[position].name;
                let call = call.try_map(|reference| find(reference).map_err(|e| e.within(name)))?;
                layers[position].calls.push(call);
            }
            if layers[position].calls.is_empty() {
                layers[position].calls.push(Call::of(Vec::new()));
            }
        }
        connect(&mut builder, &mut layers)?;
        let keras2 = references
            .iter()
            .flatten()
            .flat_map(Call::operands)
            .any(|reference| reference.keras2);
        let ends = |key: &str| -> Result<(Vec<LayerOutput>, Option<Structure>)> {
            let mut outputs = Vec::new();
            let at = |detail: Detail| Error::Config(detail.within(key));
            let (structure, ends) = Structure::read(&config[key]).map_err(at)?;
            for end in ends {
                let mut reference = read_history(end, false).map_err(at)?;
                // Here every version of Keras counts the calls of nested functional models from 1.
                let layer = names.get(reference.name);
                let sequential = |&layer: &usize| values[layer]["class_name"] == "Sequential";
                reference.keras2 = keras2 || !layer.is_some_and(sequential);
                let ((layer, call), output) = find(&reference).map_err(|e| e.within(key))?;
                let value = layers[layer].value(call, output);
                outputs.push(builder.output(value.map_err(|error| error.within(key))?));
            }
            Ok((
                outputs,
                Some(structure).filter(|structure| !structure.is_flat()),
            ))
        };
        let (inputs, input_structure) = ends("input_layers")?;
        let (outputs, output_structure) = ends("output_layers")?;
        let mut model = builder.assemble(&inputs, &outputs)?;
        model.topology.input_structure = input_structure;
        model.topology.output_structure = output_structure;
        Ok(model)
    }
}

/// Makes all calls, each as soon as what it takes is there.
fn connect(builder: &mut Functional, layers: &mut [Layer]) -> Result<()> {
    for layer in &*layers {
        for &((source, call), _) in layer.calls.iter().flat_map(Call::operands) {
            if call >= layers[source].calls.len() {
                return Err(no_such_call(&layers[source], call).within(&layer.name));
            }
        }
    }
    let mut waiting: HashMap<Node, Vec<usize>> = HashMap::new();
    let mut ready: Vec<usize> = (0..layers.len()).rev().collect();
    while let Some(position) = ready.pop() {
        loop {
            let layer = &layers[position];
            let done = layer.values.len();
            let Some(call) = layer.calls.get(done) else {
                break;
            };
            let missing = call
                .operands()
                .find(|((source, call), _)| *call >= layers[*source].values.len());
            if let Some(&(missing, _)) = missing {
                waiting.entry(missing).or_default().push(position);
                break;
            }
            let values =
                call.try_map(|&((source, call), output)| layers[source].value(call, output));
            let Call { inputs, masks } = values.map_err(|error| error.within(&layer.name))?;
            let outputs = builder.connect_masked(layer.position, &inputs, masks)?;
            layers[position].values.push(outputs);
            ready.extend(waiting.remove(&(position, done)).unwrap_or_default());
        }
    }
    let stuck = layers
        .iter()
        .find(|layer| layer.values.len() < layer.calls.len());
    match stuck {
        None => Ok(()),
        Some(layer) => {
            let expected = "layers that do not wait for each other in a circle";
            Err(wrong(
                &layer.name,
                expected,
                "one that waits for its own output",
            ))
        }
    }
}

impl Layer {
    /// The value that is output `output` of call `call`, which must have been made.
    fn value(&self, call: usize, output: usize) -> Result<ValueId> {
        let Some(outputs) = self.values.get(call) else {
            return Err(no_such_call(self, call));
        };
        outputs.get(output).copied().ok_or_else(|| {
            let expected = format!("one of the {} outputs of {:?}", outputs.len(), self.name);
            wrong("", &expected, format!("output {output}"))
        })
    }
}

fn no_such_call(layer: &Layer, call: usize) -> Error {
    let expected = format!("one of the {} calls of {:?}", layer.calls.len(), layer.name);
    wrong("", &expected, format!("call {call}"))
}

/// Puts inputs that a model is called with by name, and their masks, into the order of its inputs.
fn by_input_names(model: &Model, call: &mut Call<Reference<'_>>) {
    let names = model.input_names();
    let place = |input: &Reference<'_>| {
        let key = input.key?;
        names.iter().position(|name| name == key)
    };
    let places: Option<Vec<usize>> = call.inputs.iter().map(place).collect();
    let Some(places) = places else {
        return;
    };
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by_key(|&at| places[at]);
    call.inputs = order.iter().map(|&at| call.inputs[at]).collect();
    if !call.masks.is_empty() {
        call.masks = order.iter().map(|&at| call.masks[at]).collect();
    }
}

/// A call, the `training` it was made with, and what else it is told.
fn read_node<'v>(
    node: &'v Value,
    class_name: &str,
) -> Result<(Call<Reference<'v>>, Option<bool>, Told), Detail> {
    let mut call = Call::of(Vec::new());
    let mut arguments = Arguments {
        by_name: call_arguments::by_name(class_name),
        flags: call_arguments::takes_arguments(class_name),
        ..Arguments::default()
    };
    let positional = node["args"].as_array();
    let mut inputs = Vec::new();
    // There may be an input `args`.
    if positional.is_none_or(|items| items.first().is_some_and(Value::is_string)) {
        // Keras 2: [["name", call, output, {arguments}], …], or a dictionary of them.
        read_tensors(node, None, true, &mut inputs)?;
        for end in Structure::read(node)?.1 {
            arguments.read(&end[3], true)?;
        }
    } else {
        // Keras 3: {"args": [tensors in lists and dictionaries], "kwargs": {…}}.
        for argument in positional.into_iter().flatten() {
            read_tensors(argument, None, false, &mut inputs)?;
        }
        arguments.read(&node["kwargs"], false)?;
    }
    if arguments.by_name {
        let by_place = inputs.into_iter().enumerate();
        let by_place = by_place.filter_map(|(place, input)| Some((place, input?)));
        let named = std::mem::take(&mut arguments.named);
        let mut all: Vec<(usize, Reference<'_>)> = by_place.chain(named).collect();
        all.sort_by_key(|(place, _)| *place);
        arguments.told.inputs(all.iter().map(|(place, _)| *place));
        call.inputs = all.into_iter().map(|(_, input)| input).collect();
    } else {
        let given: Option<Vec<Reference<'_>>> = inputs.into_iter().collect();
        call.inputs = given.unwrap_or_default();
    }
    let one = call.inputs.len();
    call.inputs.append(&mut arguments.states);
    if call.inputs.is_empty() {
        let expected = "a call with the outputs of layers";
        return Err(Detail::new("inbound_nodes", expected, brief(node)));
    }
    call.masks = arguments.masks;
    if call.masks.len() == one {
        // States have none.
        call.masks.resize(call.inputs.len(), None);
    }
    if !call.masks.is_empty() && call.masks.len() != call.inputs.len() {
        let expected = format!("a mask for each of {} inputs", call.inputs.len());
        let received = format!("{} of them", call.masks.len());
        return Err(Detail::new("inbound_nodes", expected, received));
    }
    Ok((call, arguments.training, arguments.told))
}

/// The outputs of layers in an argument, those of a dictionary in the order of its keys, and `None` for
/// each null.
fn read_tensors<'v>(
    argument: &'v Value,
    key: Option<&'v str>,
    keras2: bool,
    references: &mut Vec<Option<Reference<'v>>>,
) -> Result<(), Detail> {
    match argument {
        Value::Null => references.push(None),
        Value::Object(_) if argument["class_name"] == "__keras_tensor__" => {
            let read = read_history(&argument["config"]["keras_history"], false)?;
            references.push(Some(Reference { key, ..read }));
        }
        Value::Array(items) if keras2 && items.first().is_some_and(Value::is_string) => {
            let read = read_history(argument, true)?;
            references.push(Some(Reference { key, ..read }));
        }
        Value::Array(items) => {
            let mut items = items.iter();
            items.try_for_each(|item| read_tensors(item, key, keras2, references))?;
        }
        Value::Object(items) if !items.contains_key("class_name") => {
            let mut items: Vec<(&String, &Value)> = items.iter().collect();
            items.sort_by_key(|(key, _)| *key);
            let mut items = items.into_iter();
            items.try_for_each(|(key, item)| read_tensors(item, Some(key), keras2, references))?;
        }
        other => {
            let expected = "outputs of layers as the only arguments";
            return Err(Detail::new("inbound_nodes", expected, brief(other)));
        }
    }
    Ok(())
}

/// The arguments of a call besides its inputs.
#[derive(Default)]
struct Arguments<'v> {
    training: Option<bool>,
    masks: Vec<Option<Reference<'v>>>,
    /// The states that a recurrent layer begins with.
    states: Vec<Reference<'v>>,
    /// Whether the layer takes its inputs by name.
    by_name: bool,
    /// Whether it is told more in a call.
    flags: bool,
    /// The inputs that were given by name, with their places.
    named: Vec<(usize, Reference<'v>)>,
    told: Told,
}

impl<'v> Arguments<'v> {
    /// Reads `training`, `mask`, and what has no effect here.
    fn read(&mut self, arguments: &'v Value, keras2: bool) -> Result<(), Detail> {
        for (key, value) in arguments.as_object().into_iter().flatten() {
            match (key.as_str(), value) {
                (_, nothing) if is_nothing(nothing) => {}
                // What Keras 3 writes is the value at the time when the model was made, often only
                // the default of the class; its `fit` and `predict` pass their own to every layer.
                ("training", Value::Bool(_)) if !keras2 => {}
                ("training", Value::Bool(false)) => self.training = Some(false),
                ("training", Value::Bool(true)) => {
                    let expected =
                        "no `training=True`, with which it always behaves as in training";
                    return Err(Detail::new("inbound_nodes", expected, "one"));
                }
                ("mask", mask) => {
                    self.masks.clear();
                    read_tensors(mask, None, keras2, &mut self.masks)
                        .map_err(|detail| detail.within("mask"))?;
                }
                ("initial_state", states) => {
                    let mut given = Vec::new();
                    read_tensors(states, None, keras2, &mut given)
                        .map_err(|detail| detail.within("initial_state"))?;
                    self.states = given.into_iter().flatten().collect();
                }
                (key, value) if self.flags && self.told.flag(key, value)? => {}
                (key, tensor) if self.by_name && Told::place(key).is_some() => {
                    let mut read = Vec::new();
                    read_tensors(tensor, None, keras2, &mut read)
                        .map_err(|detail| detail.within(key))?;
                    let place = Told::place(key).unwrap_or_default();
                    let tensors = read.into_iter().flatten();
                    self.named.extend(tensors.map(|tensor| (place, tensor)));
                }
                _ => {
                    let expected = "no argument but `training`, `mask` and `initial_state`";
                    let received = format!("{key}: {}", brief(value));
                    return Err(Detail::new("inbound_nodes", expected, received));
                }
            }
        }
        Ok(())
    }
}

/// Whether there is nothing in a value: `null`, or a list or dictionary of it.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(values) => values.iter().all(is_nothing),
        Value::Object(values) => values.values().all(is_nothing),
        _ => false,
    }
}
