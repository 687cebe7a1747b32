//! Layers by class and order, where names tell nothing: by the keys that containers would have.

use std::collections::{HashMap, HashSet};

use regraft_io::{ContainerKeys, SavedLayer};

use super::Wanted;

/// Layers by name if the file's names cover the model's, else by class and order, but only if both
/// sides have the same ones; otherwise layers would be shifted. Names may be of another session or
/// another program (Keras counts `dense_4`, `dense_5`, … on from model to model). What neither tells
/// is reported as missing and unexpected.
pub(super) fn or_by_class<'c>(
    wanted: &[&Wanted<'_>],
    saved: &[&'c SavedLayer],
    kept: &HashSet<String>,
    named: Vec<Option<&'c SavedLayer>>,
) -> Vec<Option<&'c SavedLayer>> {
    if covers(wanted, kept, &named) {
        return named;
    }
    let keys: Vec<&str> = wanted.iter().map(|layer| layer.key.as_str()).collect();
    by_keys(wanted, kept, &keys, &saved_keys(saved)).unwrap_or(named)
}

/// Layers of a file without containers by the keys that they would have.
pub(super) fn saved_keys<'c>(saved: &[&'c SavedLayer]) -> HashMap<String, &'c SavedLayer> {
    let mut counter = ContainerKeys::default();
    let key = |layer: &&'c SavedLayer| {
        let key = format!("layers/{}", counter.next(layer.class()));
        (key, *layer)
    };
    saved.iter().map(key).collect()
}

/// Whether every layer that is needed has a counterpart.
pub(super) fn covers<T>(
    wanted: &[&Wanted<'_>],
    kept: &HashSet<String>,
    found: &[Option<T>],
) -> bool {
    let mut needed = wanted
        .iter()
        .zip(found)
        .filter(|(layer, _)| !kept.contains(&layer.path));
    needed.all(|(_, found)| found.is_some())
}

/// Layers by keys, `keys` being those of the wanted ones; `None` if the two sides have not the same.
pub(super) fn by_keys<'c>(
    wanted: &[&Wanted<'_>],
    kept: &HashSet<String>,
    keys: &[&str],
    saved: &HashMap<String, &'c SavedLayer>,
) -> Option<Vec<Option<&'c SavedLayer>>> {
    let ours: HashSet<&str> = keys.iter().copied().collect();
    let kept: HashSet<&str> = keys
        .iter()
        .zip(wanted)
        .filter(|(_, layer)| kept.contains(&layer.path))
        .map(|(key, _)| *key)
        .collect();
    let here = |key: &&str| kept.contains(key) || saved.contains_key(*key);
    let same = ours.iter().all(here) && saved.keys().all(|key| ours.contains(key.as_str()));
    same.then(|| keys.iter().map(|key| saved.get(*key).copied()).collect())
}
