//! TensorFlow.js layers models: `model.json` with the architecture and a manifest of the weights,
//! which lie in binary shards beside it, plain or quantized.
//!
//! Graph models, which are TensorFlow programs without layers, are refused.

mod group;
mod quantization;

use std::collections::{HashMap, HashSet};
use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use group::Group;

use crate::input::Input;
use crate::{Checkpoint, Error, Format, Result, SavedLayer, SavedWeight, config_order};

/// `model.json`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Model {
    #[serde(default)]
    format: Option<String>,
    #[serde(default)]
    model_topology: Option<Map<String, Value>>,
    #[serde(default)]
    training_config: Option<Value>,
    #[serde(default)]
    weights_manifest: Option<Vec<Group>>,
}

/// Reads a TensorFlow.js layers model: `path` is its `model.json`, and the shards lie beside it.
///
/// A layer's path is the scope of its weights' names, as in `Conv1` or `base/Conv1`. Quantized
/// weights arrive as float32 (or int32): `w = q · scale + min`.
///
/// # Errors
/// [`Error::NotFound`] and [`Error::Io`], also for a shard; [`Error::Format`] if the JSON is not that of
/// a layers model, names a file in another folder, or the shards have not the bytes of the weights;
/// [`Error::Missing`] without a `weightsManifest`; [`Error::Unsupported`] for graph models and other
/// types of weights.
pub fn read(path: impl AsRef<Path>) -> Result<Checkpoint> {
    let path = path.as_ref();
    let wrap = |error: std::io::Error| Error::io(path, "a readable file", &error);
    let json = std::fs::read(path).map_err(wrap)?;
    from_json(&json, |name| Input::open(&path.with_file_name(name)))
        .map_err(|error| error.in_file(&path.display().to_string()))
}

/// Reads a model from anywhere: `json` are the bytes of `model.json`, and `shard` returns the bytes of
/// the file it is given the name of.
///
/// # Errors
/// As [`read`], and what `shard` returns.
pub fn read_with(
    json: &[u8],
    mut shard: impl FnMut(&str) -> Result<Vec<u8>>,
) -> Result<Checkpoint> {
    from_json(json, |name| shard(name).map(Input::memory))
}

/// Whether `json` is a `model.json` rather than another JSON file.
pub(crate) fn is_model(json: &[u8]) -> bool {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Keys {
        model_topology: Option<IgnoredAny>,
        weights_manifest: Option<IgnoredAny>,
    }
    serde_json::from_slice(json)
        .is_ok_and(|keys: Keys| keys.model_topology.is_some() || keys.weights_manifest.is_some())
}

fn from_json(json: &[u8], mut open: impl FnMut(&str) -> Result<Input>) -> Result<Checkpoint> {
    let model: Model = serde_json::from_slice(json).map_err(|error| {
        Error::format("", "the model.json of a TensorFlow.js layers model", error)
    })?;
    let topology = model.model_topology.unwrap_or_default();
    if model.format.as_deref() == Some("graph-model") || topology.contains_key("node") {
        let error = Error::unsupported("", "a layers model", "a graph model, which has no layers");
        return Err(error.help("convert the original model with --output_format=tfjs_layers_model"));
    }
    let Some(groups) = model.weights_manifest else {
        return Err(Error::missing(
            "",
            "weightsManifest",
            "an architecture alone",
        ));
    };
    let mut checkpoint = Checkpoint::new(Format::TensorFlowJs);
    add_topology(&mut checkpoint, topology)?;
    if checkpoint.compile_config.is_none() {
        checkpoint.compile_config = model.training_config;
    }
    let mut shards = HashSet::new();
    let mut names = HashSet::new();
    let mut layers: HashMap<&str, usize> = HashMap::new();
    for group in &groups {
        if let Some(again) = group.paths.iter().find(|path| !shards.insert(*path)) {
            let expected = "every shard once";
            return Err(Error::format(
                "weightsManifest",
                expected,
                format!("{again} again"),
            ));
        }
        if let Some(again) = group.weights.iter().find(|spec| !names.insert(&spec.name)) {
            let received = format!("{} again", again.name);
            return Err(Error::format(
                "weightsManifest",
                "every weight once",
                received,
            ));
        }
        for (spec, tensor) in group.weights.iter().zip(group.read(&mut open)?) {
            let weight = SavedWeight {
                path: spec.name.clone(),
                name: Some(spec.name.clone()),
                tensor,
            };
            let Some(scope) = weight.scope().filter(|scope| !scope.is_empty()) else {
                checkpoint.extra.push(weight);
                continue;
            };
            let scope = &spec.name[..scope.len()];
            let at = *layers.entry(scope).or_insert_with(|| {
                let own = scope.rsplit('/').next().unwrap_or(scope);
                checkpoint.layers.push(SavedLayer::new(scope, own));
                checkpoint.layers.len() - 1
            });
            checkpoint.layers[at].weights.push(weight);
        }
    }
    if let Some(config) = &checkpoint.config {
        config_order::sort(&mut checkpoint.layers, config);
    }
    Ok(checkpoint)
}

/// The architecture, which is under `model_config` in converted models and the topology itself in
/// those that TensorFlow.js saved.
fn add_topology(checkpoint: &mut Checkpoint, mut topology: Map<String, Value>) -> Result<()> {
    let text = |name: &str| Some(topology.get(name)?.as_str()?.to_string());
    checkpoint.metadata.keras_version = text("keras_version");
    checkpoint.metadata.backend = text("backend");
    checkpoint.compile_config = topology
        .remove("training_config")
        .filter(|config| !config.is_null());
    checkpoint.config = match topology.remove("model_config") {
        Some(Value::String(json)) => {
            let config = serde_json::from_str(&json);
            Some(config.map_err(|error| Error::format("model_config", "JSON", error))?)
        }
        Some(config) => Some(config),
        None if topology.contains_key("class_name") => {
            topology.retain(|name, _| name == "class_name" || name == "config");
            Some(Value::Object(topology))
        }
        None => None,
    };
    Ok(())
}
