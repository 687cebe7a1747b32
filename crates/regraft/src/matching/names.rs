//! Files of other programs, and files that are read by a map of names: what the names of tensors say.

use std::collections::{HashMap, HashSet};

use regraft_io::{Checkpoint, Format, SavedWeight};
use regraft_layers::{Weight, near};
use regraft_tensor::Detail;

use super::{Sources, Wanted, is_legacy};
use crate::layout::Layout;
use crate::name_map::NameMap;
use crate::{Error, Result};

/// What the file has for each wanted weight, by the names of its tensors.
pub(crate) fn find_by_names<'c>(
    wanted: &[Wanted<'_>],
    checkpoint: &'c Checkpoint,
    kept: &HashSet<String>,
    map: Option<&NameMap>,
    layout: Layout,
) -> Result<Sources<'c>> {
    let tensors = tensor_names(checkpoint);
    if let Some(map) = map {
        let names = tensors.iter().map(|(name, _)| name.as_str());
        if let Some(pattern) = map.unmatched(names.clone()).first() {
            let expected = "patterns that match a tensor of the file";
            let detail = Detail::new("Load::map", expected, format!("{pattern:?}"));
            return Err(Error::Setting(detail.help(near(pattern, names))));
        }
    }
    let mut by_name: HashMap<String, (&str, &SavedWeight)> = HashMap::new();
    for (name, weight) in &tensors {
        let target = map.map_or_else(|| name.clone(), |map| map.apply(name));
        if layout.ignores(name) {
            continue;
        }
        if let Some((other, _)) = by_name.insert(target.replace('.', "/"), (name, weight)) {
            let expected = format!("one tensor for {target:?}");
            let received = format!("{other:?} and {name:?}");
            return Err(Error::Setting(Detail::new("names", expected, received)));
        }
    }
    let find = |layer: &Wanted<'_>, position: usize, weight: &Weight| {
        let mut names = layout.names(layer.class_name, weight.name());
        // Files that number a layer's weights have them in the order in which the layer made them.
        let numbered = |number: usize| {
            let name = format!("{}/{number}", layer.path.replace('.', "/"));
            by_name.contains_key(&name)
        };
        let count = layer.weights.len();
        let number = position.to_string();
        if numbered(count - 1) && !numbered(count) {
            names.push(&number);
        }
        let mut names = names
            .into_iter()
            .map(|name| format!("{}/{name}", layer.path));
        let found = names.find_map(|name| by_name.get(&name.replace('.', "/")));
        found.map(|(_, weight)| *weight)
    };
    let weights: Vec<Vec<Option<&SavedWeight>>> = wanted
        .iter()
        .map(|layer| {
            let weights = layer.weights.iter().enumerate();
            let found = weights.map(|(position, (_, weight))| find(layer, position, weight));
            found.collect()
        })
        .collect();
    let of_kept = |target: &&String| {
        let layer = target.rsplit_once('/').map_or("", |(layer, _)| layer);
        kept.iter().any(|path| path.replace('.', "/") == layer)
    };
    let targets = by_name.keys().filter(of_kept);
    Ok(Sources {
        weights,
        not_wanted: targets.map(|target| by_name[target].1).collect(),
    })
}

/// Every tensor of the file's layers with its name in layers' names.
fn tensor_names(checkpoint: &Checkpoint) -> Vec<(String, &SavedWeight)> {
    let legacy = is_legacy(checkpoint.format);
    let paths = checkpoint.name_paths();
    let mut names = Vec::new();
    for layer in &checkpoint.layers {
        let path = &paths[layer.path.as_str()];
        for (position, weight) in layer.weights.iter().enumerate() {
            let own = weight.name.as_deref().unwrap_or_default();
            let own = own.strip_suffix(":0").unwrap_or(own);
            let variable = weight
                .variable()
                .map_or(position.to_string(), str::to_string);
            // In a legacy file the name of a nested model's weight tells the layers within.
            let inner = own.find(&format!("{path}/")).filter(|_| legacy);
            let name = match (checkpoint.format, inner) {
                (Format::Safetensors | Format::PyTorch, _) => weight.path.clone(),
                (_, Some(start)) => own[start..].to_string(),
                (_, None) if legacy && own.contains('/') => format!("{path}/{own}"),
                (_, None) => format!("{path}/{variable}"),
            };
            names.push((name, weight));
        }
    }
    names
}
