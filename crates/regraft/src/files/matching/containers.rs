//! Files whose layers are groups in containers, numbered by class: `.keras`, `.weights.h5`, shards.

use std::collections::{HashMap, HashSet};

use regraft_io::{Checkpoint, SavedLayer};

use super::Wanted;
use super::by_class::{by_keys, covers};

/// For each wanted layer its counterpart: by name where the file has names and they cover the model's,
/// else by key, if both sides have the same ones.
pub(super) fn pair<'c>(
    wanted: &[&Wanted<'_>],
    checkpoint: &'c Checkpoint,
    saved: &[&'c SavedLayer],
    kept: &HashSet<String>,
) -> Vec<Option<&'c SavedLayer>> {
    let mut names = checkpoint.name_paths();
    let mut by_name: HashMap<String, &SavedLayer> = HashMap::new();
    for layer in saved {
        let name = names.remove(layer.path.as_str()).unwrap_or_default();
        by_name.insert(name, layer);
    }
    let named = wanted.iter().map(|layer| by_name.get(&layer.path).copied());
    let named: Vec<Option<&SavedLayer>> = named.collect();
    let has_names = checkpoint.layers.iter().any(|layer| layer.name.is_some());
    if has_names && covers(wanted, kept, &named) {
        return named;
    }
    let layers = saved.iter().map(|layer| (public(&layer.path), *layer));
    let layers: HashMap<String, &SavedLayer> = layers.collect();
    let keys: Vec<String> = wanted.iter().map(|layer| public(&layer.key)).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let found = by_keys(wanted, kept, &keys, &layers);
    found.unwrap_or_else(|| match has_names {
        true => named,
        false => vec![None; wanted.len()],
    })
}

/// A key without an underscore in front of its last part: what a layer contains is kept in an attribute that versions of
/// Keras call otherwise (`_query_dense`, `query_dense`).
fn public(key: &str) -> String {
    match key.rsplit_once('/') {
        Some((parent, last)) => format!("{parent}/{}", last.trim_start_matches('_')),
        None => key.to_string(),
    }
}

/// Whether this is the memory of an optimizer that a nested model was compiled with before: Keras 3 keeps
/// it beside that model's layers.
pub(crate) fn is_optimizer_within(layer: &SavedLayer) -> bool {
    layer.key() == "optimizer"
        && !layer.container().is_empty()
        && !layer.container().ends_with("layers")
}
