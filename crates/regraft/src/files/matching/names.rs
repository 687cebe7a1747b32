//! Files of other programs, and files that are read by a map of names: what the names of tensors say.

use std::collections::{HashMap, HashSet};

use regraft_io::{Checkpoint, SavedWeight};
use regraft_layers::{Weight, near};
use regraft_tensor::Detail;

use super::namings::{Naming, namings};
use super::{Sources, Wanted};
use crate::files::layout::Layout;
use crate::files::name_map::NameMap;
use crate::{Error, Result};

/// What the file has for each wanted weight, by the names of its tensors.
pub(crate) fn find_by_names<'c>(
    wanted: &[Wanted<'_>],
    checkpoint: &'c Checkpoint,
    kept: &HashSet<String>,
    map: Option<&NameMap>,
    layout: Layout,
) -> Result<Sources<'c>> {
    let namings = namings(checkpoint, layout);
    if let Some(map @ NameMap::Patterns(_)) = map {
        let unmatched = |naming: &Naming<'_>| {
            let names = naming.iter().map(|(name, _)| name.as_str());
            map.unmatched(names)
        };
        let fits = namings.iter().find(|naming| unmatched(naming).is_empty());
        let Some(naming) = fits else {
            let names = namings[0].iter().map(|(name, _)| name.as_str());
            let pattern = unmatched(&namings[0]).swap_remove(0);
            let expected = "patterns that match a tensor of the file";
            let detail = Detail::new("Load::map", expected, format!("{pattern:?}"));
            return Err(Error::Setting(detail.help(near(&pattern, names))));
        };
        return find_in(naming, wanted, kept, Some(map), layout);
    }
    let mut best = find_in(&namings[0], wanted, kept, map, layout)?;
    for naming in &namings[1..] {
        // Names that fall together are not meant.
        if let Ok(other) = find_in(naming, wanted, kept, map, layout)
            && other.count() > best.count()
        {
            best = other;
        }
    }
    Ok(best)
}

/// The same under one of the names that tensors go by.
fn find_in<'c>(
    tensors: &Naming<'c>,
    wanted: &[Wanted<'_>],
    kept: &HashSet<String>,
    map: Option<&NameMap>,
    layout: Layout,
) -> Result<Sources<'c>> {
    let mut by_name: HashMap<String, (&str, &'c SavedWeight)> = HashMap::new();
    for (name, weight) in tensors {
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
        let bases = layer.bases();
        let mut names = bases
            .iter()
            .flat_map(|(path, ends)| names.iter().map(move |name| format!("{path}/{name}{ends}")));
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
