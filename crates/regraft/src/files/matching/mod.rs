//! Which tensor of a file belongs to which weight of a model: one way of telling per kind of file.

mod automatic_names;
mod containers;
mod legacy;
mod names;
mod namings;
mod numbered;
mod old_names;
mod scopes;

use std::collections::{HashMap, HashSet};

use regraft_autograd::VariableId;
use regraft_io::{Checkpoint, ContainerKeys, Format, SavedLayer, SavedWeight};
use regraft_layers::{Model as Network, Weight};

use crate::files::keys::keyed_places;
pub(crate) use containers::is_optimizer_within;
pub(crate) use names::find_by_names;

/// For each wanted layer, what the file has for each of its weights; and the tensors that belong to
/// layers which keep theirs.
pub(crate) struct Sources<'c> {
    pub weights: Vec<Vec<Option<&'c SavedWeight>>>,
    pub not_wanted: Vec<&'c SavedWeight>,
}

impl Sources<'_> {
    /// How many weights there is something for.
    fn count(&self) -> usize {
        self.weights.iter().flatten().flatten().count()
    }
}

/// A layer of the model that has weights.
pub(crate) struct Wanted<'a> {
    /// In layers' names: `base/bn1`.
    pub path: String,
    /// In Keras' keys: `layers/sequential/layers/batch_normalization`.
    pub key: String,
    pub class_name: &'a str,
    /// Whether its parameters are trained now, which is what legacy files order weights by.
    pub is_trained: bool,
    /// Whether its weights are those of a layer before it too, which files may have once.
    pub is_repeated: bool,
    pub weights: Vec<(VariableId, &'a Weight)>,
    /// The number of weights of a layer that it contains which containers have in front of its own, too.
    pub kept: usize,
}

impl Wanted<'_> {
    /// The paths of the wrappers that contain the layer, the innermost first. Its key is then an attribute of
    /// the wrapper (`layers/time_distributed/layer`) rather than among its `layers`.
    fn wrappers(&self) -> impl Iterator<Item = &str> {
        fn outer<'w>((path, key): &(&'w str, &'w str)) -> Option<(&'w str, &'w str)> {
            let ((path, _), (key, _)) = (path.rsplit_once('/')?, key.rsplit_once('/')?);
            (last_name(key) != "layers").then_some((path, key))
        }
        let first = outer(&(self.path.as_str(), self.key.as_str()));
        std::iter::successors(first, outer).map(|(path, _)| path)
    }

    /// The name of the layer itself: `bn1`.
    fn name(&self) -> &str {
        last_name(&self.path)
    }
}

fn last_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Every layer of the model that has weights.
pub(crate) fn layers_of(model: &Network) -> Vec<Wanted<'_>> {
    keyed_places(model)
        .into_iter()
        .filter(|(_, place)| !place.weights.is_empty())
        .map(|(key, place)| Wanted {
            path: place.path,
            key,
            class_name: place.class_name,
            is_trained: place.freezing.trains_parameters(),
            is_repeated: place.is_repeated,
            kept: place.kept.len(),
            weights: place
                .weights
                .iter()
                .filter_map(|&id| Some((id, model.weights().get(id)?)))
                .collect(),
        })
        .collect()
}

/// What the file has for each wanted weight, layer by layer.
pub(crate) fn find_by_layers<'c>(
    wanted: &[Wanted<'_>],
    checkpoint: &'c Checkpoint,
    kept: &HashSet<String>,
) -> Sources<'c> {
    let saved: Vec<&SavedLayer> = checkpoint
        .layers
        .iter()
        .filter(|layer| !layer.weights.is_empty() && !is_optimizer_within(layer))
        .collect();
    if is_legacy(checkpoint.format) {
        return legacy::find(wanted, &saved, kept);
    }
    let all = wanted;
    let wanted: Vec<&Wanted<'_>> = all.iter().filter(|layer| !layer.is_repeated).collect();
    let wanted = wanted.as_slice();
    let pairs = match checkpoint.format {
        Format::KerasWeights(_) | Format::KerasArchive(_) | Format::Sharded(_) => {
            containers::pair(wanted, checkpoint, &saved, kept)
        }
        Format::TensorFlowJs | Format::TensorFlowCheckpoint | Format::SavedModel => {
            let paths: Vec<&str> = wanted.iter().map(|layer| layer.path.as_str()).collect();
            let scopes = saved.iter();
            let scopes = scopes.map(|layer| scopes::as_now(&layer.path, &paths));
            let scopes: Vec<String> = scopes.collect();
            let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
            let mut found = scopes::match_scopes(&paths, &scopes);
            // Keras 2 names the weights of a wrapped layer by the wrapper: `time_distributed/kernel`.
            let wrappers = wanted.iter().zip(&mut found);
            for (layer, found) in wrappers.filter(|(_, found)| found.is_none()) {
                let scope = |path| scopes::match_scopes(&[path], &scopes)[0];
                *found = layer.wrappers().find_map(scope);
            }
            let open = |layer: &Wanted<'_>| !kept.contains(&layer.path);
            numbered::pair(wanted, &saved, open, &mut found);
            let named = found.into_iter().map(|place| Some(saved[place?])).collect();
            or_by_class(wanted, &saved, kept, named)
        }
        _ => {
            // Names of Keras may have a dot (`mobilenetv2_1.00_160`), which other programs put
            // between names.
            let plain = |path: &str| path.replace('.', "/");
            let layers = saved.iter().map(|layer| (plain(&layer.path), *layer));
            let by_name: HashMap<String, &SavedLayer> = layers.collect();
            let named = |layer: &&Wanted<'_>| by_name.get(&plain(&layer.path)).copied();
            or_by_class(wanted, &saved, kept, wanted.iter().map(named).collect())
        }
    };
    let mut sources = Sources {
        weights: Vec::with_capacity(wanted.len()),
        not_wanted: Vec::new(),
    };
    let mut pairs = pairs.into_iter();
    for layer in all {
        let saved = match layer.is_repeated {
            true => None,
            false => pairs.next().flatten(),
        };
        let found = saved.map(|saved| weights_of(layer, &saved.weights));
        let found = found.unwrap_or_else(|| vec![None; layer.weights.len()]);
        sources.weights.push(found);
        if let Some(saved) = saved.filter(|saved| has_kept(layer, &saved.weights)) {
            sources.not_wanted.extend(&saved.weights[..layer.kept]);
        }
        if let (true, Some(saved)) = (kept.contains(&layer.path), saved) {
            sources.not_wanted.extend(&saved.weights);
        }
    }
    sources
}

/// Layers by name if the file's names cover the model's, else by class and order, but only if both
/// sides have the same ones; otherwise layers would be shifted. Names may be of another session or
/// another program (Keras counts `dense_4`, `dense_5`, … on from model to model). What neither tells
/// is reported as missing and unexpected.
fn or_by_class<'c>(
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
fn saved_keys<'c>(saved: &[&'c SavedLayer]) -> HashMap<String, &'c SavedLayer> {
    let mut counter = ContainerKeys::default();
    let key = |layer: &&'c SavedLayer| {
        let key = format!("layers/{}", counter.next(layer.class()));
        (key, *layer)
    };
    saved.iter().map(key).collect()
}

/// Whether every layer that is needed has a counterpart.
fn covers<T>(wanted: &[&Wanted<'_>], kept: &HashSet<String>, found: &[Option<T>]) -> bool {
    let mut needed = wanted
        .iter()
        .zip(found)
        .filter(|(layer, _)| !kept.contains(&layer.path));
    needed.all(|(_, found)| found.is_some())
}

/// Layers by keys, `keys` being those of the wanted ones; `None` if the two sides have not the same.
fn by_keys<'c>(
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

/// What each weight of a single layer is among `saved`: by name if the file names its tensors, else by
/// their order, which is the order in which the layer made them.
fn weights_of<'c>(layer: &Wanted<'_>, saved: &'c [SavedWeight]) -> Vec<Option<&'c SavedWeight>> {
    let found = |(position, (_, weight)): (usize, &(VariableId, &Weight))| {
        if are_unnamed(saved) {
            let kept = saved.len().checked_sub(layer.weights.len())?;
            let fits = kept == 0 || has_kept(layer, saved);
            return saved.get(kept + position).filter(|_| fits);
        }
        let means = |name: &str| old_names::means(name, weight.name());
        saved
            .iter()
            .find(|saved| saved.variable().is_some_and(means))
    };
    layer.weights.iter().enumerate().map(found).collect()
}

/// Whether weights of what the layer contains stand in front of its own.
fn has_kept(layer: &Wanted<'_>, saved: &[SavedWeight]) -> bool {
    layer.kept > 0 && are_unnamed(saved) && saved.len() == layer.kept + layer.weights.len()
}

fn are_unnamed(saved: &[SavedWeight]) -> bool {
    let unnamed = |saved: &SavedWeight| saved.variable().is_none_or(old_names::is_unnamed);
    saved.iter().all(unnamed)
}

pub(crate) fn is_legacy(format: Format) -> bool {
    matches!(format, Format::LegacyModel | Format::LegacyWeights)
}
