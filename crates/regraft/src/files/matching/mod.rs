//! Which tensor of a file belongs to which weight of a model: one way of telling per kind of file.

mod automatic_names;
mod by_class;
mod by_name;
mod containers;
mod legacy;
mod names;
mod namings;
mod numbered;
mod old_names;
mod scopes;
mod weights;

use std::collections::HashSet;

use regraft_autograd::VariableId;
use regraft_io::{Checkpoint, Format, SavedLayer, SavedWeight};
use regraft_layers::{Model as Network, Weight};

use crate::files::keys::keyed_places;
pub(crate) use containers::is_optimizer_within;
pub(crate) use names::find_by_names;
pub(crate) use namings::tensor_names;
use weights::{has_kept, weights_of};

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

    /// The paths that may stand in front of the names of its weights in another program, each with what ends these there:
    /// its own, and for a cell that of its recurrent layer, or of the two directions that this is one of.
    fn bases(&self) -> Vec<(&str, &'static str)> {
        let mut bases = vec![(self.path.as_str(), "")];
        let Some(key) = self.key.strip_suffix("/cell") else {
            return bases;
        };
        let mut wrappers = self.wrappers();
        bases.extend(wrappers.next().map(|path| (path, "")));
        let ends = match key.rsplit('/').next() {
            Some("forward_layer") => "",
            Some("backward_layer") => "_reverse",
            _ => return bases,
        };
        bases.extend(wrappers.next().map(|path| (path, ends)));
        bases
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
    if checkpoint.format.is_legacy() {
        return legacy::find(wanted, &saved, kept);
    }
    let all = wanted;
    let wanted: Vec<&Wanted<'_>> = all.iter().filter(|layer| !layer.is_repeated).collect();
    let wanted = wanted.as_slice();
    let pair = way_of(checkpoint.format);
    let pairs = pair(wanted, checkpoint, &saved, kept);
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

/// A way of telling layers: for each wanted one its counterpart among those of a file that have weights, but
/// those that keep theirs need none.
type Way = for<'c> fn(
    &[&Wanted<'_>],
    &'c Checkpoint,
    &[&'c SavedLayer],
    &HashSet<String>,
) -> Vec<Option<&'c SavedLayer>>;

/// The way of each kind of file. Legacy files of Keras tell weights, not layers: [`legacy`].
fn way_of(format: Format) -> Way {
    match format {
        Format::KerasWeights(_) | Format::KerasArchive(_) | Format::Sharded(_) => containers::pair,
        Format::TensorFlowJs | Format::TensorFlowCheckpoint | Format::SavedModel => scopes::pair,
        _ => by_name::pair,
    }
}
