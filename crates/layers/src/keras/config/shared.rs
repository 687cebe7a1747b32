//! Layers that a configuration has in several places. Keras 3 marks the second and further ones by a
//! `shared_object_id`, the first not always; it is the one of the same class, name and settings then.
//!
//! Keras numbers the calls of such a layer on from place to place when it reads a file. What is written here
//! says so, and has under `first_call` the number of the first call in this place, which Keras passes over.

use std::collections::HashMap;

use regraft_autograd::VariableId;
use serde_json::Value;

use super::support::wrong;
use crate::Result;
use crate::keras::names::join;
use crate::models::topology::{Body, Container, Topology};

/// The key of the number that a layer's first call has, beside `config`.
pub(super) const FIRST_CALL: &str = "first_call";

const ID: &str = "shared_object_id";

/// A layer of a configuration.
struct Place<'v> {
    path: String,
    value: &'v Value,
}

/// The paths of layers that are one.
pub(super) fn groups(model: &Value) -> Result<Vec<Vec<String>>> {
    let mut places = Vec::new();
    collect(model, "", &mut places);
    let mut groups: Vec<Vec<String>> = Vec::new();
    let mut of_id: HashMap<String, usize> = HashMap::new();
    for (position, place) in places.iter().enumerate() {
        if place.value[ID].is_null() {
            continue;
        }
        let id = place.value[ID].to_string();
        if let Some(&group) = of_id.get(&id) {
            groups[group].push(place.path.clone());
            continue;
        }
        let same = |other: &&Place<'_>| {
            other.value[ID].is_null()
                && other.value["class_name"] == place.value["class_name"]
                && plain(&other.value["config"]) == plain(&place.value["config"])
        };
        let first: Vec<&Place<'_>> = places[..position].iter().filter(same).collect();
        let group = match first.as_slice() {
            [] => vec![place.path.clone()],
            [first] => vec![first.path.clone(), place.path.clone()],
            _ => {
                let paths: Vec<&str> = first.iter().map(|first| first.path.as_str()).collect();
                let expected = "a layer whose other place is told by its name and settings";
                return Err(wrong(&place.path, expected, paths.join(" or ")));
            }
        };
        of_id.insert(id, groups.len());
        groups.push(group);
    }
    groups.retain(|group| group.len() > 1);
    Ok(groups)
}

fn collect<'v>(model: &'v Value, prefix: &str, places: &mut Vec<Place<'v>>) {
    let layers = &model["config"]["layers"];
    for layer in layers.as_array().into_iter().flatten() {
        let name = layer["name"].as_str().or(layer["config"]["name"].as_str());
        let name = super::support::without_slashes(name.unwrap_or_default());
        let path = join(prefix, &name);
        if layer["class_name"] != "InputLayer" {
            places.push(Place {
                path: path.clone(),
                value: layer,
            });
        }
        collect(layer, &path, places);
    }
}

/// Settings without marks of what is shared within them.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(key, _)| *key != ID);
            fields
                .map(|(key, value)| (key.clone(), plain(value)))
                .collect()
        }
        Value::Array(values) => values.iter().map(plain).collect(),
        other => other.clone(),
    }
}

/// What is written of layers that stand in several places of a model.
#[derive(Default)]
pub(super) struct Shared {
    ids: HashMap<VariableId, u64>,
    first_calls: HashMap<(*const Topology, usize), usize>,
}

impl Shared {
    pub fn of(topology: &Topology) -> Self {
        let mut places: HashMap<VariableId, usize> = HashMap::new();
        topology.visit("", &mut |_, entry| {
            if let Some(id) = entry.weights.first() {
                *places.entry(*id).or_default() += 1;
            }
        });
        let mut ids: Vec<VariableId> = places
            .into_iter()
            .filter(|(_, places)| *places > 1)
            .map(|(id, _)| id)
            .collect();
        ids.sort_unstable();
        let mut shared = Shared {
            ids: ids.into_iter().zip(1..).collect(),
            first_calls: HashMap::new(),
        };
        if !shared.ids.is_empty() {
            shared.count(topology, &mut HashMap::new());
        }
        shared
    }

    /// Counts calls in the order in which Keras makes them: those of nested models first.
    fn count(&mut self, topology: &Topology, calls: &mut HashMap<VariableId, usize>) {
        for entry in &topology.layers {
            if let Body::Nested(nested) = &entry.body {
                self.count(nested, calls);
            }
        }
        for (position, entry) in topology.layers.iter().enumerate() {
            let id = entry.weights.first().filter(|id| self.ids.contains_key(id));
            if let Some(id) = id {
                let made = match topology.container {
                    // Keras connects a stack anew with each layer that it adds.
                    Container::Sequential => topology.layers.len() - position,
                    Container::Functional => {
                        let calls = topology.calls.iter();
                        calls.filter(|call| call.layer == position).count()
                    }
                };
                let before = calls.entry(*id).or_default();
                self.first_calls.insert((topology, position), *before);
                *before += made;
            }
        }
    }

    /// Puts it into what was written of `topology`.
    pub fn write(&self, topology: &Topology, written: &mut Value) {
        if self.ids.is_empty() {
            return;
        }
        let config = &mut written["config"];
        let mut first_calls: HashMap<&str, usize> = HashMap::new();
        for (position, entry) in topology.layers.iter().enumerate() {
            let layer = &mut config["layers"][position];
            if let Body::Nested(nested) = &entry.body {
                self.write(nested, layer);
            }
            let Some(id) = entry.weights.first().and_then(|id| self.ids.get(id)) else {
                continue;
            };
            layer[ID] = (*id).into();
            let key = (std::ptr::from_ref(topology), position);
            let is_called_by_name = !topology.is_stack();
            if let (true, Some(&first @ 1..)) = (is_called_by_name, self.first_calls.get(&key)) {
                layer[FIRST_CALL] = first.into();
                first_calls.insert(&entry.name, first);
            }
        }
        let layers = config["layers"].as_array_mut().into_iter().flatten();
        layers.for_each(|layer| count_on(&mut layer["inbound_nodes"], &first_calls));
        for ends in ["input_layers", "output_layers"] {
            count_on(&mut config[ends], &first_calls);
        }
    }
}

/// Adds the number of a layer's first call to every reference to one of its calls.
fn count_on(value: &mut Value, first_calls: &HashMap<&str, usize>) {
    match value {
        Value::Array(items) if items.first().is_some_and(Value::is_string) => {
            let first = items[0].as_str().and_then(|name| first_calls.get(name));
            if let (Some(first), Some(call)) = (first, items.get(1).and_then(Value::as_u64)) {
                items[1] = (call + *first as u64).into();
            }
        }
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| count_on(item, first_calls)),
        Value::Object(items) => {
            items
                .values_mut()
                .for_each(|item| count_on(item, first_calls));
        }
        _ => {}
    }
}
