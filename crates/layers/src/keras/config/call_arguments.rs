//! Arguments of a call that are settings of the layer here: attention takes its inputs by name, and is told in the
//! call what Keras' other layers are told when they are made.

use regraft_autograd::Shape;
use regraft_tensor::Detail;
use serde_json::{Map, Value, json};

use crate::Layer;
use crate::layers::AttentionInput;
use crate::settings::brief;

/// Layers that are told more in a call.
const LAYERS: [&str; 5] = [
    "AdditiveAttention",
    "Attention",
    "GroupQueryAttention",
    "GroupedQueryAttention",
    "MultiHeadAttention",
];

/// What such a call tells besides tensors: true or false.
const FLAGS: [&str; 2] = ["use_causal_mask", "return_attention_scores"];

/// The setting that says which inputs are which.
const INPUTS: &str = "inputs";

/// Whether calls of a class have arguments that are settings here.
pub(super) fn takes_arguments(class_name: &str) -> bool {
    LAYERS.contains(&class_name)
}

/// Whether a class takes its inputs by name; the others take a list.
pub(super) fn by_name(class_name: &str) -> bool {
    takes_arguments(class_name) && !matches!(class_name, "AdditiveAttention" | "Attention")
}

/// The settings of a class that its calls tell; a layer that is read has them beside its configuration.
pub(super) fn keys(class_name: &str) -> impl Iterator<Item = &'static str> + use<> {
    let keys = FLAGS.into_iter().chain([INPUTS]);
    let told = takes_arguments(class_name);
    keys.filter(move |_| told)
}

/// The arguments of a call by what they are called with: settings that a configuration does not have.
pub(super) fn take(config: &mut Map<String, Value>) -> Map<String, Value> {
    let keys = FLAGS.into_iter().chain([INPUTS]);
    keys.filter_map(|key| config.remove_entry(key)).collect()
}

/// The flags that are on, as a call has them.
pub(super) fn written(mut settings: Map<String, Value>) -> Map<String, Value> {
    settings.remove(INPUTS);
    settings.retain(|_, value| *value == Value::Bool(true));
    settings
}

/// What each of so many inputs is called.
fn names(settings: &Map<String, Value>, count: usize) -> Vec<&str> {
    let given = settings.get(INPUTS).and_then(Value::as_array);
    let given: Vec<&str> = given
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    match given.is_empty() {
        true => AttentionInput::ALL[..count.min(3)]
            .iter()
            .map(|(_, name)| *name)
            .collect(),
        false => given,
    }
}

/// A call with its inputs by name: query and value by their places.
pub(super) fn node(settings: Map<String, Value>, tensors: Vec<Value>) -> Value {
    let mut named: Map<String, Value> = Map::new();
    for (name, tensor) in names(&settings, tensors.len()).into_iter().zip(tensors) {
        named.insert(name.to_string(), tensor);
    }
    let positional: Vec<Value> = ["query", "value"]
        .iter()
        .filter_map(|name| named.remove(*name))
        .collect();
    named.extend(written(settings));
    json!({ "args": positional, "kwargs": named })
}

/// The shapes for which Keras builds such a layer.
pub(super) fn build_config(
    layer: &dyn Layer,
    inputs: &[Shape],
    sizes: impl Fn(&Shape) -> Value,
) -> Value {
    let settings = layer.config();
    let mut shapes = Map::new();
    for (name, shape) in names(&settings, inputs.len()).into_iter().zip(inputs) {
        if matches!(name, "query" | "value" | "key") {
            shapes.insert(format!("{name}_shape"), sizes(shape));
        }
    }
    json!({ "shapes_dict": shapes })
}

/// What the calls of a layer are told, read from one of them after the other.
#[derive(Default)]
pub(super) struct Told {
    inputs: Vec<&'static str>,
    flags: Map<String, Value>,
}

impl Told {
    /// Notes a flag, and says whether it is one.
    pub fn flag(&mut self, key: &str, value: &Value) -> Result<bool, Detail> {
        if !FLAGS.contains(&key) {
            return Ok(false);
        }
        if !value.is_boolean() {
            return Err(Detail::new(key, "true or false", brief(value)));
        }
        self.flags.insert(key.into(), value.clone());
        Ok(true)
    }

    /// The number of the input that is called so.
    pub fn place(key: &str) -> Option<usize> {
        AttentionInput::ALL
            .iter()
            .position(|(_, name)| *name == key)
    }

    /// Notes which inputs are given, by their numbers.
    pub fn inputs(&mut self, places: impl Iterator<Item = usize>) {
        self.inputs = places.map(|place| AttentionInput::ALL[place].1).collect();
    }

    /// As settings of the layer.
    pub fn settings(self) -> Map<String, Value> {
        let mut settings = self.flags;
        settings.retain(|_, value| *value == Value::Bool(true));
        let usual = self.inputs == names(&Map::new(), self.inputs.len());
        if !usual && !self.inputs.is_empty() {
            settings.insert(INPUTS.into(), json!(self.inputs));
        }
        settings
    }
}
