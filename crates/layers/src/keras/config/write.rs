//! A model as a configuration.

use serde_json::{Map, Value, json};

use super::{
    ALONE, BESIDE, FREEZING, KERAS2, PARTS, TAKES_A_LIST, TAKES_STATES, call_arguments, operation,
};
use crate::layers::{Operation, object};
use crate::models::structure::Structure;
use crate::models::topology::{Body, Container, Entry, LayerCall, Topology, ValueId};
use crate::{Class, Freezing, Layer};

/// A whole model.
pub(super) fn model(name: &str, topology: &Topology) -> Value {
    // Keras trains nothing of a whole that it is told is frozen, whatever the layers say.
    let trainable = !topology.frozen || topology.trains();
    part(name, topology, trainable)
}

/// The attribute that is a list of layers.
const LIST: &str = "cells";

/// A model, whole or nested.
fn part(name: &str, topology: &Topology, trainable: bool) -> Value {
    match topology.container {
        Container::Sequential => sequential(name, topology, trainable),
        Container::Functional => functional(name, topology, trainable),
    }
}

fn sequential(name: &str, topology: &Topology, trainable: bool) -> Value {
    let layers: Vec<Value> = topology.layers.iter().map(layer).collect();
    let mut config = object(json!({
        "name": name,
        "trainable": trainable,
        "dtype": policy(common_policy(topology)),
        "layers": layers,
    }));
    let mut value = json!({
        "module": "keras",
        "class_name": "Sequential",
        "registered_name": null,
    });
    if let [input] = topology.inputs.as_slice() {
        let shape = shape(topology, *input);
        config.insert("build_input_shape".into(), shape.clone());
        value["build_config"] = json!({ "input_shape": shape });
    }
    value["config"] = config.into();
    value
}

fn functional(name: &str, topology: &Topology, trainable: bool) -> Value {
    let layer = |(position, entry): (usize, &Entry)| {
        let mut value = layer(entry);
        let calls = topology.calls.iter().filter(|call| call.layer == position);
        let called = calls.filter(|call| !call.inputs.is_empty());
        let nodes: Vec<Value> = called.map(|call| node(topology, entry, call)).collect();
        value["name"] = entry.name.as_str().into();
        value["inbound_nodes"] = nodes.into();
        value
    };
    let layers: Vec<Value> = topology.layers.iter().enumerate().map(layer).collect();
    let ends = |ids: &[ValueId], structure: &Option<Structure>| -> Value {
        let mut ends = ids.iter().map(|&id| end(topology, id));
        match structure {
            Some(structure) => structure.write(&mut ends),
            // Of a list of one, Keras gives a list, which the next layer of a `Sequential` refuses.
            None if ids.len() == 1 => ends.next().unwrap_or_default(),
            None => ends.collect(),
        }
    };
    json!({
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "config": {
            "name": name,
            "trainable": trainable,
            "layers": layers,
            "input_layers": ends(&topology.inputs, &topology.input_structure),
            "output_layers": ends(&topology.outputs, &topology.output_structure),
        },
        "registered_name": "Functional",
    })
}

/// A layer, or a nested model.
fn layer(entry: &Entry) -> Value {
    let layer = match &entry.body {
        Body::Leaf(layer) => layer,
        Body::Nested(topology) => return part(&entry.name, topology, entry.says_trainable()),
    };
    if let Some(operation) = entry.leaf_as::<Operation>() {
        return operation::write(operation, &entry.name);
    }
    let within = entry.wrapped.iter().filter(|_| layer.writes_wrapped());
    // What a layer has made of its own settings is told with it.
    let told = match entry.wrapped.as_slice() {
        [inner] if !layer.writes_wrapped() => inner,
        _ => entry,
    };
    let freezing = told.own_freezing();
    let mut config = layer.config();
    for inner in within {
        let written = self::layer(inner);
        match inner.attribute.unwrap_or("layer") {
            LIST => {
                let list = config
                    .entry(LIST)
                    .or_insert_with(|| Value::Array(Vec::new()));
                list.as_array_mut().expect("made so").push(written);
            }
            // Keras' attribute and its setting have two names.
            "forward_layer" => drop(config.insert("layer".into(), written)),
            attribute => drop(config.insert(attribute.into(), written)),
        }
    }
    for (key, changed) in &entry.changed_settings {
        if let Some(setting) = config.get_mut(key) {
            setting.clone_from(changed);
        }
    }
    config.insert("name".into(), entry.name.as_str().into());
    let own = config.entry("dtype");
    own.or_insert_with(|| policy(entry.policy.as_deref()));
    let mut expressed = Freezing::Trainable;
    if !layer.class().lacks("trainable") {
        let trains = freezing.trains_parameters();
        config.insert("trainable".into(), trains.into());
        if !trains {
            expressed = Freezing::Frozen;
        }
    }
    if call_arguments::takes_arguments(entry.class_name()) {
        call_arguments::take(&mut config);
    }
    let of_class = BESIDE
        .iter()
        .filter(|(name, _)| *name == entry.class_name());
    let beside: Vec<(&str, Value)> = of_class
        .filter_map(|(_, key)| Some((*key, config.remove(*key)?)))
        .collect();
    let mut value = class(&**layer, config);
    for (key, setting) in beside {
        value[key] = setting;
    }
    if !entry.weights.is_empty() || !entry.wrapped.is_empty() {
        let shapes: Vec<Value> = entry.input_shapes.iter().map(|s| sizes(s.dims())).collect();
        let shape = match <[Value; 1]>::try_from(shapes) {
            Ok([shape]) => shape,
            Err(shapes) => shapes.into(),
        };
        value["build_config"] = match call_arguments::by_name(entry.class_name()) {
            true => call_arguments::build_config(&**layer, &entry.input_shapes, |shape| {
                sizes(shape.dims())
            }),
            false if TAKES_STATES.contains(&entry.class_name()) && shape[0].is_array() => {
                let shapes = shape.as_array().map_or(&[][..], Vec::as_slice);
                json!({ "shapes_dict": {
                    "sequences_shape": shapes[0],
                    "initial_state_shape": shapes[1..],
                } })
            }
            false => json!({ "input_shape": shape }),
        };
    }
    // Of a wrapper that says no more, a reader goes by what it contains.
    let contains = layer.writes_wrapped() && !entry.wrapped.is_empty();
    if freezing != expressed || freezing == Freezing::Frozen && contains {
        value[FREEZING] = freezing.key().into();
    }
    // A file has the sum of a weight and its adapters, and no place for these.
    let mut alone = told.alone.clone();
    alone.retain(|name, _| !told.is_of_adapter(name));
    if !alone.is_empty() {
        value[ALONE] = json!(alone);
    }
    let made = entry.wrapped.iter().filter(|_| !layer.writes_wrapped());
    let parts: Map<String, Value> = made
        .filter(|part| part.own_freezing() != freezing)
        .map(|part| (part.name.clone(), part.own_freezing().key().into()))
        .collect();
    if !parts.is_empty() {
        value[PARTS] = parts.into();
    }
    if entry.keras2 {
        value[KERAS2] = true.into();
    }
    value
}

/// The class of a layer as Keras finds it: in a module of its own, or registered by the user.
fn class(layer: &dyn Layer, mut config: Map<String, Value>) -> Value {
    config.values_mut().for_each(shorten);
    let Class { name, module, .. } = layer.class();
    let (module, registered) = match module {
        "keras.layers" => (Value::from(module), Value::Null),
        "" => (Value::Null, format!("Custom>{name}").into()),
        module => (module.into(), name.into()),
    };
    json!({
        "module": module,
        "class_name": name,
        "config": config,
        "registered_name": registered,
    })
}

/// One call of a layer: the values it was called with.
fn node(topology: &Topology, entry: &Entry, call: &LayerCall) -> Value {
    let tensors: Vec<Value> = call.inputs.iter().map(|&id| tensor(topology, id)).collect();
    if let Some(operation) = entry.leaf_as::<Operation>() {
        return json!({ "args": operation.serialize_arguments(&tensors), "kwargs": {} });
    }
    let structure = match &entry.body {
        Body::Nested(nested) => nested.input_structure.as_ref(),
        Body::Leaf(_) => None,
    };
    let settings = match &entry.body {
        Body::Leaf(layer) if call_arguments::takes_arguments(entry.class_name()) => {
            call_arguments::take(&mut layer.config())
        }
        _ => Map::new(),
    };
    if call_arguments::by_name(entry.class_name()) {
        return call_arguments::node(settings, tensors);
    }
    let as_list = tensors.len() > 1 || TAKES_A_LIST.contains(&entry.class_name());
    let arranged = |values: Vec<Value>| match structure {
        Some(structure) => json!([structure.write(&mut values.into_iter())]),
        None if as_list => json!([values]),
        None => json!(values),
    };
    let masks = call.masks.iter();
    let masks = masks.map(|mask| mask.map_or(Value::Null, |id| tensor(topology, id)));
    if TAKES_STATES.contains(&entry.class_name()) {
        let (mut tensors, mut masks) = (tensors.into_iter(), masks);
        let (sequence, mask) = (tensors.next(), masks.next().filter(|mask| !mask.is_null()));
        let states: Vec<Value> = tensors.collect();
        let mut arguments = Map::new();
        arguments.extend(mask.map(|mask| ("mask".to_string(), mask)));
        if !states.is_empty() {
            arguments.insert("initial_state".to_string(), states.into());
        }
        return json!({ "args": [sequence], "kwargs": arguments });
    }
    let mut arguments = call_arguments::written(settings);
    if !call.masks.iter().all(Option::is_none) {
        arguments.insert("mask".into(), arranged(masks.collect())[0].clone());
    }
    json!({ "args": arranged(tensors), "kwargs": arguments })
}

/// The output of a layer as an argument of a call.
fn tensor(topology: &Topology, id: ValueId) -> Value {
    let (name, index) = source(topology, id);
    json!({
        "class_name": "__keras_tensor__",
        "config": {
            "shape": shape(topology, id),
            "dtype": topology.value(id).map(|value| value.element_type.name()),
            "keras_history": [name, index, id.output],
        },
    })
}

/// An input or output of the model.
fn end(topology: &Topology, id: ValueId) -> Value {
    let (name, mut index) = source(topology, id);
    // Keras counts the calls of a nested functional model from 1 here, and only here.
    let entry = &topology.layers[topology.calls[id.call].layer];
    if matches!(&entry.body, Body::Nested(nested) if !nested.is_stack()) {
        index += 1;
    }
    json!([name, index, id.output])
}

/// Which call of which layer a value comes from.
fn source(topology: &Topology, id: ValueId) -> (&str, usize) {
    let layer = topology.calls[id.call].layer;
    let earlier = topology.calls[..id.call].iter();
    let index = earlier.filter(|call| call.layer == layer).count();
    (&topology.layers[layer].name, index)
}

fn shape(topology: &Topology, id: ValueId) -> Value {
    topology
        .value(id)
        .map_or(Value::Null, |value| sizes(value.shape.dims()))
}

fn sizes(dims: &[regraft_autograd::Dim]) -> Value {
    dims.iter()
        .map(|dim| dim.fixed().map_or(Value::Null, Value::from))
        .collect()
}

/// The policy that all layers of a model have, if they have one.
fn common_policy(topology: &Topology) -> Option<&str> {
    let mut policies = Vec::new();
    topology.visit("", &mut |_, entry| {
        if matches!(entry.body, Body::Leaf(_)) && !entry.is_input() {
            policies.push(entry.policy.as_deref());
        }
    });
    let first = policies.first().copied().flatten();
    first.filter(|_| policies.iter().all(|policy| *policy == first))
}

/// A policy of element types; `float32` if there is no other.
fn policy(name: Option<&str>) -> Value {
    json!({
        "module": "keras",
        "class_name": "DTypePolicy",
        "config": { "name": name.unwrap_or("float32") },
        "registered_name": null,
    })
}

/// Writes 32-bit numbers by their shortest decimal: 0.1, not 0.10000000149011612.
fn shorten(value: &mut Value) {
    match value {
        Value::Number(number) if number.is_f64() => {
            let long = number.as_f64().unwrap_or(0.0);
            if f64::from(long as f32) == long {
                *value = crate::settings::number(long as f32);
            }
        }
        Value::Array(values) => values.iter_mut().for_each(shorten),
        Value::Object(values) => values.values_mut().for_each(shorten),
        _ => {}
    }
}
