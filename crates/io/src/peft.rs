//! Folders of adapters as PEFT writes them: `adapter_config.json` and `adapter_model.safetensors`.
//!
//! This is the wire form: settings as they stand in the file, and tensors by their names. What they mean for a
//! model is not decided here.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use crate::{Checkpoint, Error, Format, Result, SavedLayer, SavedWeight, TensorData};
use crate::{atomic, safetensors};

/// The name of the file of settings.
pub const CONFIG: &str = "adapter_config.json";

/// The name of the file of tensors.
pub const WEIGHTS: &str = "adapter_model.safetensors";

/// Settings that are longer are refused.
const LONGEST_CONFIG: u64 = 16 << 20;

/// An adapter as a folder holds it.
#[derive(Clone, Debug)]
pub struct PeftFolder {
    /// The settings, those that nobody knows included.
    pub config: Map<String, Value>,
    /// The tensors by name, in the file's order.
    pub tensors: Vec<(String, TensorData)>,
    /// Texts in the header of the tensors' file.
    pub metadata: BTreeMap<String, String>,
}

/// Reads a folder.
///
/// # Errors
/// [`Error::NotFound`] and [`Error::Io`] for files that cannot be read, [`Error::Limit`] for settings longer
/// than 16 MB, [`Error::Format`] for what is no adapter.
pub fn read(folder: impl AsRef<Path>) -> Result<PeftFolder> {
    let folder = folder.as_ref();
    let path = folder.join(CONFIG);
    let expected = "the settings of an adapter";
    let wrap = |error: std::io::Error| Error::io(&path, expected, &error);
    let length = fs::metadata(&path).map_err(wrap)?.len();
    if length > LONGEST_CONFIG {
        let expected = format!("at most {LONGEST_CONFIG} bytes");
        return Err(Error::limit(path.display().to_string(), expected, length));
    }
    let config = fs::read(&path).map_err(wrap)?;
    let config =
        config_from(&config).map_err(|error| error.in_file(&path.display().to_string()))?;
    from_parts(config, safetensors::read(folder.join(WEIGHTS))?)
}

/// The adapter of these bytes of the two files.
///
/// # Errors
/// As [`read`].
pub fn read_bytes(config: &[u8], weights: impl Into<Vec<u8>>) -> Result<PeftFolder> {
    from_parts(config_from(config)?, safetensors::read_bytes(weights)?)
}

fn config_from(bytes: &[u8]) -> Result<Map<String, Value>> {
    let expected = "an object with the settings of an adapter";
    let wrong = |error: serde_json::Error| Error::format(CONFIG, expected, error);
    let config: Map<String, Value> = serde_json::from_slice(bytes).map_err(wrong)?;
    match config.get("peft_type") {
        Some(Value::String(_)) => Ok(config),
        _ => Err(Error::missing(CONFIG, "`peft_type`", "settings without it")),
    }
}

fn from_parts(config: Map<String, Value>, checkpoint: Checkpoint) -> Result<PeftFolder> {
    let mut tensors = Vec::new();
    for layer in checkpoint.layers {
        let weights = layer.weights.into_iter();
        tensors.extend(weights.map(|weight| (weight.path, weight.tensor)));
    }
    if tensors.is_empty() {
        return Err(Error::missing(WEIGHTS, "tensors", "none"));
    }
    Ok(PeftFolder {
        config,
        tensors,
        metadata: checkpoint.metadata.entries.into_iter().collect(),
    })
}

/// Writes a folder, which is made if it is not there. Each file is written as a whole or stays as it was, the
/// settings last.
///
/// # Errors
/// [`Error::Io`] if it cannot be written, [`Error::Format`] if two tensors have one name.
pub fn write(folder: impl AsRef<Path>, adapter: &PeftFolder) -> Result<()> {
    let folder = folder.as_ref();
    let wrap = |error| Error::io(folder, "a folder that can be made", &error);
    fs::create_dir_all(folder).map_err(wrap)?;
    let (config, weights) = to_bytes(adapter)?;
    atomic::write_file(folder.join(WEIGHTS), &weights)?;
    atomic::write_file(folder.join(CONFIG), &config)
}

/// The bytes of the two files: the settings, sorted and indented as PEFT has them, and the tensors by name.
///
/// # Errors
/// As [`write()`], but for the file system's.
pub fn to_bytes(adapter: &PeftFolder) -> Result<(Vec<u8>, Vec<u8>)> {
    let sorted: BTreeMap<&String, &Value> = adapter.config.iter().collect();
    let json = |error| Error::format(CONFIG, "what JSON can hold", error);
    let config = serde_json::to_vec_pretty(&sorted).map_err(json)?;
    let mut checkpoint = Checkpoint::new(Format::Safetensors);
    let entries = adapter.metadata.clone();
    checkpoint.metadata.entries.extend(entries);
    let mut tensors: Vec<&(String, TensorData)> = adapter.tensors.iter().collect();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    let mut layer = SavedLayer::new("", "");
    layer.weights = tensors
        .into_iter()
        .map(|(name, tensor)| SavedWeight {
            path: name.clone(),
            ..SavedWeight::new(name, tensor.clone())
        })
        .collect();
    checkpoint.layers = vec![layer];
    Ok((config, safetensors::to_bytes(&checkpoint)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_was_read_is_written_again() {
        let config = json!({"peft_type": "LORA", "r": 4, "of_a_later_version": {"a": [1]}});
        let tensor = TensorData::scalar(3_i64);
        let adapter = PeftFolder {
            config: config.as_object().unwrap().clone(),
            tensors: vec![
                ("b".to_string(), tensor.clone()),
                ("a.b/c".to_string(), tensor),
            ],
            metadata: BTreeMap::from([("format".to_string(), "pt".to_string())]),
        };
        let (config, weights) = to_bytes(&adapter).unwrap();
        let text = String::from_utf8(config.clone()).unwrap();
        assert!(
            text.starts_with("{\n  \"of_a_later_version\": {\n    \"a\": [\n"),
            "{text}"
        );
        let again = read_bytes(&config, weights).unwrap();
        assert_eq!(again.config, adapter.config);
        assert_eq!(again.metadata, adapter.metadata);
        let names: Vec<&str> = again
            .tensors
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(names, ["a.b/c", "b"]);
    }

    #[test]
    fn what_is_no_adapter_is_refused() {
        let weights = || safetensors::to_bytes(&Checkpoint::new(Format::Safetensors)).unwrap();
        for (config, part) in [
            (&b"[]"[..], "an object"),
            (b"{", "an object"),
            (b"{}", "peft_type"),
            (b"{\"peft_type\": 3}", "peft_type"),
            (b"{\"peft_type\": \"LORA\"}", "tensors"),
        ] {
            let error = read_bytes(config, weights()).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        let error = read("/nowhere").unwrap_err().to_string();
        assert!(error.contains(CONFIG), "{error}");
    }
}
