//! A configuration as a model.

use std::sync::Arc;

use regraft_tensor::Detail;
use serde_json::{Map, Value};

use super::support::{without_slashes, written_by_keras2, wrong};
use super::{ALONE, BESIDE, FREEZING, KERAS2, PARTS, call_arguments};
use crate::contract::freezing::Alone;
use crate::contract::layer::{LayerKind, LayerSpec};
use crate::layers::{Input, Wrapper, sample_shape};
use crate::models::topology::DEEPEST;
use crate::settings::{Settings, brief};
use crate::{Error, Freezing, Layer, LayerExt, Model, Registry, Result, Sequential};

/// Settings that every layer has, or that Keras 2 gave the first one.
const OF_EVERY_LAYER: [&str; 6] = [
    "name",
    "trainable",
    "dtype",
    "batch_input_shape",
    "input_shape",
    "dynamic",
];

/// Reads configurations with the classes of a registry.
pub(super) struct Reader<'r> {
    pub registry: &'r Registry,
}

impl Reader<'_> {
    /// A model, `depth` models deep.
    pub fn model(&self, value: &Value, depth: usize) -> Result<Model> {
        if depth > DEEPEST {
            let expected = format!("at most {DEEPEST} models in each other");
            return Err(wrong("", &expected, "more"));
        }
        let class_name = value["class_name"].as_str().unwrap_or_default();
        let config = &value["config"];
        let name = config["name"].as_str().or_else(|| value["name"].as_str());
        let named = |error: Error| match name {
            Some(name) => error.within(name),
            None => error,
        };
        let mut model = match class_name {
            "Sequential" => self.sequential(value, depth).map_err(named)?,
            "Functional" | "Model" => self.functional(config, depth).map_err(named)?,
            other => {
                let error = wrong(
                    "class_name",
                    "\"Sequential\" or \"Functional\"",
                    quoted(other),
                );
                return Err(error);
            }
        };
        if let Some(name) = name {
            model.set_name(name);
        }
        // What Keras makes of it: the layers of a nested model have states of their own, and a whole
        // that is frozen trains nothing; but a `Sequential`, and any model in Keras 2, does not take
        // the setting from a file.
        if config["trainable"] == Value::Bool(false) {
            model.topology.frozen = true;
            if depth == 0 && !model.topology.is_stack() && !written_by_keras2(config) {
                model.topology.hide();
            }
        }
        Ok(model)
    }

    fn sequential(&self, value: &Value, depth: usize) -> Result<Model> {
        // Keras 1 has the list of layers in the place of the settings.
        let config = &value["config"];
        let Some(layers) = config["layers"].as_array().or_else(|| config.as_array()) else {
            return Err(wrong("layers", "a list of layers", &config["layers"]));
        };
        let mut specs = Vec::with_capacity(layers.len() + 1);
        if let Some(first) = layers.first() {
            specs.extend(implied_input(first)?);
        }
        for layer in layers {
            specs.push(self.layer(layer, depth)?);
        }
        let mut sequential = Sequential::new(specs)?;
        let shapes = [
            &config["build_input_shape"],
            &value["build_config"]["input_shape"],
        ];
        if let (false, Some(shape)) = (
            sequential.is_built(),
            shapes.into_iter().find(|shape| shape.is_array()),
        ) {
            let sample = sample_shape("build_input_shape", shape).map_err(Error::Config)?;
            sequential.build(&sample)?;
        }
        Ok(sequential)
    }

    /// A layer or a nested model, with its name and freezing state.
    pub(super) fn layer(&self, value: &Value, depth: usize) -> Result<LayerSpec> {
        let Some(class_name) = value["class_name"].as_str() else {
            let expected = "a layer with \"class_name\" and \"config\"";
            return Err(wrong("", expected, brief(value)));
        };
        if matches!(class_name, "Sequential" | "Functional" | "Model") {
            return Ok(self.model(value, depth + 1)?.into());
        }
        let Some(config) = value["config"].as_object() else {
            return Err(wrong(
                class_name,
                "the settings of the layer",
                brief(&value["config"]),
            ));
        };
        let name = config
            .get("name")
            .and_then(Value::as_str)
            .or_else(|| value["name"].as_str());
        let at = name.unwrap_or(class_name);
        let is_input = class_name == "InputLayer";
        let own = |(key, _): &(&String, &Value)| match is_input {
            true => !matches!(key.as_str(), "name" | "trainable"),
            false => !OF_EVERY_LAYER.contains(&key.as_str()),
        };
        let of_class = BESIDE.iter().filter(|(name, _)| *name == class_name);
        let keys = of_class.map(|(_, key)| *key);
        let keys = keys.chain(call_arguments::keys(class_name));
        let beside = keys.filter_map(|key| value.as_object()?.get_key_value(key));
        let settings: Map<String, Value> = config
            .iter()
            .filter(own)
            .chain(beside)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        // A hash has integers, and Keras says so.
        let policy = match is_input || class_name == "Hashing" {
            true => None,
            false => read_policy(config.get("dtype")).map_err(|error| error.within(at))?,
        };
        let layer = match Wrapper::of(class_name) {
            Some(wrapper) => self.wrapper(&settings, wrapper, depth),
            None => self.registry.layer(class_name, &settings),
        };
        let mut spec = LayerSpec::from(layer.map_err(|error| error.within(at))?);
        spec.name = name.map(without_slashes);
        spec.policy = policy;
        spec.keras2 = value[KERAS2] == Value::Bool(true);
        spec.freezing = freezing(config, &value[FREEZING]).map_err(|error| error.within(at))?;
        spec.alone = alone(&value[ALONE]).map_err(|error| error.within(at))?;
        spec.parts = parts(&value[PARTS]).map_err(|error| error.within(at))?;
        if !spec.writes_wrapped() {
            return Ok(spec);
        }
        // What is in a wrapper has states of its own, which are read.
        spec.within = Some(Freezing::Trainable);
        let of_keras = value[FREEZING].is_null() && spec.freezing == Freezing::Frozen;
        if of_keras && wrapped_trains(&spec) {
            // As in Keras 3, which trains what it contains.
            spec.freezing = Freezing::Trainable;
        }
        Ok(spec)
    }
}

/// Whether a wrapper contains something that is trained.
fn wrapped_trains(spec: &LayerSpec) -> bool {
    let LayerKind::Leaf(layer) = &spec.kind else {
        return false;
    };
    if !layer.writes_wrapped() {
        return false;
    }
    layer.wrapped().iter().any(|(_, inner)| match &inner.kind {
        LayerKind::Leaf(_) => inner.freezing.trains_parameters() || wrapped_trains(inner),
        LayerKind::Nested(model) => model.topology.trains(),
    })
}

impl Reader<'_> {
    /// A layer that contains the one that its settings have.
    pub(super) fn wrapper(
        &self,
        settings: &Map<String, Value>,
        wrapper: &Wrapper,
        depth: usize,
    ) -> Result<Arc<dyn Layer>> {
        if depth > DEEPEST {
            let expected = format!("at most {DEEPEST} models in each other");
            return Err(wrong("", &expected, "more"));
        }
        let mut settings = settings.clone();
        let mut contained = Vec::with_capacity(wrapper.keys.len());
        for (index, &key) in wrapper.keys.iter().enumerate() {
            let read = |value: &Value| self.layer(value, depth + 1);
            contained.push(match settings.remove(key).unwrap_or_default() {
                Value::Array(values) => values.iter().map(read).collect::<Result<Vec<_>>>()?,
                Value::Null if index > 0 => Vec::new(),
                value => vec![read(&value)?],
            });
        }
        let registry: &dyn std::any::Any = self.registry;
        let make = |settings: &Settings<'_>| (wrapper.make)(contained, settings);
        let made = crate::settings::read(wrapper.class_name, &settings, Some(registry), make);
        made.map_err(Error::Config)
    }
}

/// The state that `trainable` and our own key say. Where the two contradict each other, somebody
/// changed `trainable` afterwards.
fn freezing(config: &Map<String, Value>, key: &Value) -> Result<Freezing> {
    let trainable = match config.get("trainable") {
        None | Some(Value::Null) => None,
        Some(Value::Bool(trainable)) => Some(*trainable),
        Some(other) => return Err(wrong("trainable", "true or false", other)),
    };
    let from_trainable = match trainable {
        Some(false) => Freezing::Frozen,
        _ => Freezing::Trainable,
    };
    let Some(key) = key.as_str() else {
        return Ok(from_trainable);
    };
    match Freezing::from_key(key) {
        None => Err(wrong(FREEZING, "a freezing state", quoted(key))),
        Some(state) if trainable.is_none_or(|trains| trains == state.trains_parameters()) => {
            Ok(state)
        }
        Some(_) => Ok(from_trainable),
    }
}

/// The weights that do not follow their layer.
fn alone(key: &Value) -> Result<Alone> {
    if key.is_null() {
        return Ok(Alone::new());
    }
    serde_json::from_value(key.clone()).map_err(|_| {
        let expected = "true or false for weights by their names";
        let help = "such as {\"bias\": true}; without the key, all weights follow the layer";
        Error::Config(Detail::new(ALONE, expected, brief(key)).help(help))
    })
}

/// The states of layers that a layer makes itself.
fn parts(key: &Value) -> Result<Vec<(String, Freezing)>> {
    let states = key.as_object().into_iter().flatten();
    let state = |(name, state): (&String, &Value)| {
        let known = state.as_str().and_then(Freezing::from_key);
        let wrong = || wrong(PARTS, "freezing states by names", brief(key));
        Ok((name.clone(), known.ok_or_else(wrong)?))
    };
    states.map(state).collect()
}

/// The input layer that Keras 1 and 2 keep in the settings of the first layer.
fn implied_input(layer: &Value) -> Result<Option<LayerSpec>> {
    let config = &layer["config"];
    let shape = &config["batch_input_shape"];
    if layer["class_name"] == "InputLayer" || !shape.is_array() {
        return Ok(None);
    }
    let sample = sample_shape("batch_input_shape", shape).map_err(Error::Config)?;
    let name = config["name"].as_str().unwrap_or("layer");
    Ok(Some(
        Input::new(sample).named(format!("{}_input", without_slashes(name))),
    ))
}

/// The policy of element types, unless it is `float32`. Weights are 32-bit floats here, and all is
/// computed with them; quantized ones are something else.
fn read_policy(policy: Option<&Value>) -> Result<Option<String>> {
    const FLOATS: [&str; 6] = [
        "float32",
        "float16",
        "bfloat16",
        "float64",
        "mixed_float16",
        "mixed_bfloat16",
    ];
    let name = match policy {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(name)) => Some(name.as_str()),
        Some(policy) => policy["config"]["name"].as_str(),
    };
    match name {
        Some("float32") => Ok(None),
        Some(name) if FLOATS.contains(&name) => Ok(Some(name.to_string())),
        Some(name) => Err(wrong("dtype", "a type of floats", quoted(name))),
        None => Err(wrong(
            "dtype",
            "a type of floats",
            brief(policy.unwrap_or(&Value::Null)),
        )),
    }
}

/// Makes a layer, or all layers of a nested model, behave as in inference.
pub(super) fn as_in_inference(spec: &mut LayerSpec) {
    match &mut spec.kind {
        LayerKind::Leaf(_) => {
            spec.freezing = spec.freezing.as_in_inference();
            spec.within = spec.within.map(Freezing::as_in_inference);
        }
        LayerKind::Nested(model) => model
            .topology
            .change_leaves(&mut |entry| entry.freezing = entry.freezing.as_in_inference()),
    }
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}
