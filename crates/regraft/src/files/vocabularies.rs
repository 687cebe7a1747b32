//! Vocabularies that Keras keeps beside the configuration of an archive: those that `adapt` found.

use regraft_io::{Checkpoint, ContainerKeys, SavedWeight};
use regraft_tensor::Detail;
use serde_json::Value;

use crate::{Error, Result};

/// The classes of layers with a vocabulary.
const CLASSES: [&str; 2] = ["StringLookup", "IntegerLookup"];

/// The checkpoint with its vocabularies in the configuration; nothing if it has none beside it.
pub(crate) fn completed(checkpoint: &Checkpoint) -> Result<Option<Checkpoint>> {
    let beside = |name: &String| name.ends_with("/vocabulary.txt");
    let mut layers = checkpoint.layers.iter();
    let weighted = layers.any(|layer| layer.weights.iter().any(is_idf));
    if !weighted && !checkpoint.assets.keys().any(beside) {
        return Ok(None);
    }
    let mut completed = checkpoint.clone();
    let Some(mut config) = completed.config.take() else {
        return Ok(None);
    };
    complete(&mut config, "", &mut completed, 0)?;
    completed.config = Some(config);
    // They are written with the configuration from now on.
    completed.assets.retain(|name, _| !beside(name));
    Ok(Some(completed))
}

/// Whether a weight is how much each token tells.
fn is_idf(weight: &SavedWeight) -> bool {
    weight.path.ends_with("idf_weights")
}

/// Puts vocabularies into the layers of a model whose own place is `path`.
fn complete(
    model: &mut Value,
    path: &str,
    checkpoint: &mut Checkpoint,
    depth: usize,
) -> Result<()> {
    // Models are not nested deeper; reading the configuration says so.
    if depth > 32 {
        return Ok(());
    }
    let mut keys = ContainerKeys::default();
    let layers = model["config"]["layers"].as_array_mut();
    for layer in layers.into_iter().flatten() {
        let class = layer["class_name"].as_str().unwrap_or_default().to_string();
        let key = keys.next(&class);
        let place = match path {
            "" => format!("layers/{key}"),
            path => format!("{path}/layers/{key}"),
        };
        if layer["config"]["layers"].is_array() {
            complete(layer, &place, checkpoint, depth + 1)?;
        }
        if !CLASSES.contains(&class.as_str()) {
            continue;
        }
        if layer["config"]["vocabulary"].is_null() {
            let name = format!("assets/{place}/vocabulary.txt");
            let Some(file) = checkpoint.assets.get(&name) else {
                continue;
            };
            let Ok(text) = std::str::from_utf8(file) else {
                let detail = Detail::new(&place, "a vocabulary of UTF-8 text", "other bytes");
                return Err(Error::File(detail));
            };
            let mut lines: Vec<&str> = text.lines().collect();
            while lines.last().is_some_and(|line| line.is_empty()) {
                lines.pop();
            }
            layer["config"]["vocabulary"] = lines.into();
        }
        // How much each token tells stands among the weights, though it is none.
        let saved = checkpoint
            .layers
            .iter_mut()
            .find(|saved| saved.path == place);
        if let Some(saved) = saved
            && let Some(weights) = saved.weights.iter().find(|weight| is_idf(weight))
        {
            if layer["config"]["idf_weights"].is_null() {
                let weights = weights.tensor.to_f32()?;
                layer["config"]["idf_weights"] = weights.iter().copied().collect();
            }
            saved.weights.clear();
        }
    }
    Ok(())
}
