//! SavedModel folders: `saved_model.pb` with `variables/variables.index` and its shards, what Keras 2
//! wrote with `model.save("folder")` and Keras 3 writes with `model.export("folder")`.
//!
//! The weights are a TensorFlow checkpoint ([`tensorflow_checkpoint`]). Keras 2 (TensorFlow 2.5 to
//! 2.15) adds `keras_metadata.pb`, which has the model's configuration; the program in `saved_model.pb`
//! is not read.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};

use crate::protobuf::{Fields, Malformed, Value as Field};
use crate::{Checkpoint, Error, Format, Result, config_order, tensorflow_checkpoint};

const PROGRAM: &str = "saved_model.pb";
const VARIABLES: &str = "variables/variables.index";
const METADATA: &str = "keras_metadata.pb";

/// Reads a SavedModel folder; `path` may also be its `saved_model.pb`.
///
/// Of an export of Keras 3 the weights are read once, under the names that Keras gave them; the second
/// copy that TensorFlow adds (`_all_variables`) is passed over.
///
/// # Errors
/// [`Error::Missing`] if the folder has no `variables`; [`Error::Format`] if `keras_metadata.pb` is
/// malformed; otherwise as [`tensorflow_checkpoint::read`].
pub fn read(path: impl AsRef<Path>) -> Result<Checkpoint> {
    let path = path.as_ref();
    let folder = match path.is_dir() {
        true => path,
        false => path.parent().unwrap_or(path),
    };
    let index = folder.join(VARIABLES);
    if !index.is_file() {
        let at = folder.display().to_string();
        let error = Error::missing(at, format!("{VARIABLES} with the weights"), "none");
        return Err(error.help("copy the whole folder, not saved_model.pb alone"));
    }
    let mut checkpoint = tensorflow_checkpoint::read(index)?;
    checkpoint.format = Format::SavedModel;
    let metadata = folder.join(METADATA);
    if metadata.is_file() {
        let wrap = |error: std::io::Error| Error::io(&metadata, "a readable file", &error);
        let bytes = std::fs::read(&metadata).map_err(wrap)?;
        add_metadata(&mut checkpoint, &bytes)
            .map_err(|error| error.in_file(&metadata.display().to_string()))?;
    }
    Ok(checkpoint)
}

/// Whether `folder` is one of a SavedModel.
pub(crate) fn is_saved_model(folder: &Path) -> bool {
    folder.join(PROGRAM).is_file() || folder.join(VARIABLES).is_file()
}

/// The configuration of the object `root`, from Keras' `SavedMetadata` message: nodes of node path,
/// kind, and JSON.
fn add_metadata(checkpoint: &mut Checkpoint, message: &[u8]) -> Result<()> {
    let malformed = |Malformed| Error::format("", "a SavedMetadata message", "other bytes");
    let mut models = Models::default();
    let mut root = None;
    for field in Fields::new(message) {
        let (1, Field::Bytes(node)) = field.map_err(malformed)? else {
            continue;
        };
        let (mut path, mut kind, mut json) = (&b""[..], &b""[..], &b""[..]);
        for field in Fields::new(node) {
            match field.map_err(malformed)? {
                (3, Field::Bytes(value)) => path = value,
                (4, Field::Bytes(value)) => kind = value,
                (5, Field::Bytes(value)) => json = value,
                _ => {}
            }
        }
        let path = String::from_utf8_lossy(path);
        if path == "root" || KINDS_OF_MODELS.contains(&kind) {
            let object: Map<String, Value> = serde_json::from_slice(json)
                .map_err(|error| Error::format(&*path, "JSON", error))?;
            models.add(&path, &object);
            if path == "root" {
                root.get_or_insert(object);
            }
        }
    }
    let Some(mut root) = root else {
        return Ok(());
    };
    let mut part = |name: &str| {
        let mut part = root.remove(name).filter(|value| !value.is_null())?;
        plain_lists(&mut part);
        Some(part)
    };
    checkpoint.compile_config = part("training_config");
    // A subclassed model has no configuration with layers.
    let config = part("config").filter(|config| config.get("layers").is_some());
    if let (Some(class), Some(mut config)) = (part("class_name"), config) {
        models.say_trainable("root", &mut config);
        let config = Value::from_iter([("class_name", class), ("config", config)]);
        config_order::sort(&mut checkpoint.layers, &config);
        checkpoint.config = Some(config);
    }
    let text = |value: Option<Value>| Some(value?.as_str()?.to_string());
    checkpoint.metadata.keras_version = text(part("keras_version"));
    checkpoint.metadata.backend = text(part("backend"));
    Ok(())
}

/// The kinds of object that are models.
const KINDS_OF_MODELS: [&[u8]; 2] = [b"_tf_keras_network", b"_tf_keras_sequential"];

/// What the metadata say of the models in the whole. The configuration of a `Sequential` has no
/// `trainable`, so that this alone tells whether it was frozen.
#[derive(Default)]
struct Models(BTreeMap<String, (String, bool)>);

impl Models {
    /// Remembers the model at `path` (`root.layer-1`), if its metadata say what is asked here.
    fn add(&mut self, path: &str, metadata: &Map<String, Value>) {
        let name = metadata.get("name").and_then(Value::as_str);
        let trainable = metadata.get("trainable").and_then(Value::as_bool);
        if let (Some(name), Some(trainable)) = (name, trainable) {
            let model = (name.to_string(), trainable);
            self.0.insert(path.to_string(), model);
        }
    }

    /// Completes the configuration of the model at `path`, and those of the models in it.
    fn say_trainable(&self, path: &str, config: &mut Value) {
        if let (Some((_, trainable)), Value::Object(config)) = (self.0.get(path), &mut *config) {
            config
                .entry("trainable")
                .or_insert_with(|| (*trainable).into());
        }
        // As deep as the configuration's JSON, which its parser limits.
        let inner = format!("{path}.");
        let parts = self.0.iter().filter(|(path, _)| {
            path.strip_prefix(&inner)
                .is_some_and(|name| !name.contains('.'))
        });
        let layers = config.get_mut("layers").and_then(Value::as_array_mut);
        let mut layers: Vec<&mut Value> = layers.into_iter().flatten().collect();
        for (path, (name, _)) in parts {
            let named = |layer: &&mut &mut Value| layer["config"]["name"] == name.as_str();
            let layer = layers.iter_mut().find(named);
            if let Some(config) = layer.and_then(|layer| layer.get_mut("config")) {
                self.say_trainable(path, config);
            }
        }
    }
}

/// Writes lists as Keras' other files do: here tuples and shapes are objects with `items`.
fn plain_lists(value: &mut Value) {
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        if let Value::Object(object) = value {
            let class = object.get("class_name").and_then(Value::as_str);
            if matches!(class, Some("__tuple__" | "TensorShape"))
                && let Some(items) = object.remove("items")
            {
                *value = items;
            }
        }
        match value {
            Value::Array(values) => open.extend(values),
            Value::Object(object) => open.extend(object.values_mut()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tuples_and_shapes_become_lists() {
        let mut value = json!({"a": {"class_name": "__tuple__", "items": [1, {
            "class_name": "TensorShape", "items": [null, 3],
        }]}, "class_name": "Dense"});
        plain_lists(&mut value);
        assert_eq!(value, json!({"a": [1, [null, 3]], "class_name": "Dense"}));
    }
}
