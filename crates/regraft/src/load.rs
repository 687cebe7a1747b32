//! Loading weights: plan, verify, commit. Nothing is written until everything fits, and a report
//! says what was loaded from where.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use regraft_autograd::VariableId;
use regraft_io::{Checkpoint, ContainerKeys, Format, SavedLayer, SavedWeight};
use regraft_layers::{Model as LayersModel, Selector, Weight};
use regraft_tensor::{Detail, Tensor};

use crate::automatic_names;
use crate::keys::keyed_places;
use crate::load_report::{LoadError, LoadReport, Loaded, Mismatched, OptimizerState};
use crate::old_names;
use crate::scopes::match_scopes;
use crate::trainable::{Network, Trainable, not_compiled};
use crate::{Error, Result};

/// What to load and how: `Load::new().keep("head")`. The defaults are strict: every weight of the
/// model must be in the file and every weight of the file in the model.
#[derive(Clone, Debug, Default)]
#[must_use = "pass it to `load_weights_with`"]
pub struct Load {
    keep: Option<Selector>,
    allow_missing: bool,
    allow_unexpected: bool,
    skip_optimizer: bool,
}

impl Load {
    /// Everything, strictly.
    pub fn new() -> Self {
        Self::default()
    }

    /// The picked layers keep their weights: a new head, whose counterpart in the file has another
    /// width or other classes.
    pub fn keep(mut self, selector: impl Into<Selector>) -> Self {
        self.keep = Some(match self.keep {
            Some(earlier) => earlier | selector,
            None => selector.into(),
        });
        self
    }

    /// Weights of the model that the file does not have keep their values.
    pub fn allow_missing(mut self) -> Self {
        self.allow_missing = true;
        self
    }

    /// Weights of the file that the model does not have are left aside.
    pub fn allow_unexpected(mut self) -> Self {
        self.allow_unexpected = true;
        self
    }

    /// The optimizer's memory is not restored.
    pub fn without_optimizer(mut self) -> Self {
        self.skip_optimizer = true;
        self
    }
}

impl<N: Network> Trainable<N> {
    /// Loads weights from a file of any format that [`regraft_io::read`] knows: `.weights.h5`,
    /// `.keras`, legacy `.h5`, `.weights.json`, `.safetensors`, TensorFlow checkpoints and SavedModels,
    /// TensorFlow.js layers models.
    ///
    /// Layers are matched by name where the names of the file are those of the model, and otherwise
    /// by class and order, weights by what the file says; never by position alone. If the model is
    /// compiled with the optimizer of the file, the optimizer's memory is restored too, so that
    /// training goes on where it was.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read, [`Error::Load`] with a table of everything that
    /// does not fit. The model is unchanged then, in every bit.
    pub fn load_weights(&mut self, path: impl AsRef<Path>) -> Result<LoadReport> {
        self.load_weights_with(path, Load::new())
    }

    /// As [`load_weights`](Self::load_weights), with exceptions.
    ///
    /// # Errors
    /// As [`load_weights`](Self::load_weights); [`regraft_layers::Error::NoMatch`] if
    /// [`Load::keep`] picks nothing.
    pub fn load_weights_with(&mut self, path: impl AsRef<Path>, load: Load) -> Result<LoadReport> {
        let checkpoint = regraft_io::read(&path)?;
        self.load_checkpoint(&checkpoint, &path.as_ref().display().to_string(), load)
    }

    /// As [`load_weights_with`](Self::load_weights_with), from a checkpoint in memory; `source`
    /// names it in messages.
    ///
    /// # Errors
    /// As [`load_weights_with`](Self::load_weights_with).
    pub fn load_checkpoint(
        &mut self,
        checkpoint: &Checkpoint,
        source: &str,
        load: Load,
    ) -> Result<LoadReport> {
        let model = self.network.model();
        if !model.is_built() {
            return Err(Error::Model(
                Detail::new(
                    model.name(),
                    "a model whose input shape is known",
                    "one without",
                )
                .help("begin it with `Input::new([…])`, or call `build(&[…])`"),
            ));
        }
        let kept = match &load.keep {
            Some(selector) => model.select(selector.clone())?.into_iter().collect(),
            None => HashSet::new(),
        };
        let (mut report, values) = plan(model, checkpoint, source, &kept);
        let fits = report.mismatched.is_empty()
            && (load.allow_missing || report.missing.is_empty())
            && (load.allow_unexpected || report.unexpected.is_empty());
        let changed_classes = match (&self.class_names, saved_class_names(checkpoint)) {
            (Some(ours), Some(theirs)) if kept.is_empty() && *ours != theirs => Some(theirs),
            _ => None,
        };
        if !fits || values.is_empty() || changed_classes.is_some() {
            report.class_names = changed_classes;
            return Err(Error::Load(Box::new(LoadError(report))));
        }
        // Everything that can fail has been done; what follows cannot be half done.
        let restored = match (&self.training, &checkpoint.optimizer) {
            (Some(_), Some(saved)) if !load.skip_optimizer && kept.is_empty() => {
                crate::optimizer_state::restored(self, saved)
            }
            (_, Some(_)) => Err("not asked for".to_string()),
            (_, None) => Err("the file has none".to_string()),
        };
        let store = self.network.model_mut().weights_mut();
        for (id, value) in values {
            if let Some(slot) = store.value_mut(id) {
                *slot = value;
            }
        }
        report.optimizer = match restored {
            Ok(optimizer) => {
                let steps = optimizer.iterations();
                self.training.as_mut().ok_or_else(not_compiled)?.optimizer = optimizer;
                OptimizerState::Restored { steps }
            }
            Err(reason) => OptimizerState::NotRestored { reason },
        };
        Ok(report)
    }
}

/// The class names that a file of ours has.
pub(crate) fn saved_class_names(checkpoint: &Checkpoint) -> Option<Vec<String>> {
    let names = checkpoint.metadata.entries.get(crate::keys::CLASS_NAMES)?;
    serde_json::from_str(names).ok()
}

/// What goes where, without touching the model.
fn plan(
    model: &LayersModel,
    checkpoint: &Checkpoint,
    source: &str,
    kept: &HashSet<String>,
) -> (LoadReport, Vec<(VariableId, Tensor)>) {
    let mut report = LoadReport::new(source, checkpoint.format);
    let mut values = Vec::new();
    let wanted = layers_of(model);
    let pairs = match_layers(&wanted, checkpoint, kept);
    let mut used: HashSet<*const SavedWeight> = HashSet::new();
    for (layer, saved) in wanted.iter().zip(pairs) {
        if kept.contains(&layer.path) {
            report.kept.extend(
                layer
                    .weights
                    .iter()
                    .map(|(_, weight)| weight.path().to_string()),
            );
            // Its counterpart is not unexpected, only not wanted.
            used.extend(
                saved
                    .iter()
                    .flat_map(|saved| &saved.weights)
                    .map(std::ptr::from_ref),
            );
            continue;
        }
        for (position, (id, weight)) in layer.weights.iter().enumerate() {
            let found = saved.and_then(|saved| find_weight(saved, layer, position, weight));
            let Some(found) = found else {
                report.missing.push(weight.path().to_string());
                continue;
            };
            used.insert(found);
            if found.tensor.shape() != weight.value().shape() {
                report.mismatched.push(Mismatched {
                    weight: weight.path().to_string(),
                    source: found.path.clone(),
                    expected: weight.value().shape().to_vec(),
                    received: found.tensor.shape().to_vec(),
                });
                continue;
            }
            match found.tensor.to_tensor() {
                Ok(tensor) => {
                    report.loaded.push(Loaded {
                        weight: weight.path().to_string(),
                        source: found.path.clone(),
                        shape: tensor.shape().to_vec(),
                        data_type: found.tensor.data_type(),
                    });
                    values.push((*id, tensor));
                }
                Err(error) => report.missing.push(format!("{} ({error})", weight.path())),
            }
        }
    }
    for weight in checkpoint.layers.iter().flat_map(|layer| &layer.weights) {
        if !used.contains(&std::ptr::from_ref(weight)) {
            report.unexpected.push(weight.path.clone());
        }
    }
    (report, values)
}

/// A layer of the model that has weights.
struct Wanted<'a> {
    /// In layers' names: `base/bn1`.
    path: String,
    /// In Keras' keys: `layers/sequential/layers/batch_normalization`.
    key: String,
    weights: Vec<(VariableId, &'a Weight)>,
}

fn layers_of(model: &LayersModel) -> Vec<Wanted<'_>> {
    keyed_places(model)
        .into_iter()
        .filter(|(_, place)| !place.weights.is_empty())
        .map(|(key, place)| Wanted {
            path: place.path,
            key,
            weights: place
                .weights
                .iter()
                .filter_map(|&id| Some((id, model.weights().get(id)?)))
                .collect(),
        })
        .collect()
}

/// For each wanted layer its counterpart in the file.
fn match_layers<'c>(
    wanted: &[Wanted<'_>],
    checkpoint: &'c Checkpoint,
    kept: &HashSet<String>,
) -> Vec<Option<&'c SavedLayer>> {
    let legacy = matches!(
        checkpoint.format,
        Format::LegacyModel | Format::LegacyWeights
    );
    let saved: Vec<&SavedLayer> = checkpoint
        .layers
        .iter()
        .filter(|layer| !layer.weights.is_empty())
        .collect();
    let by_container = matches!(
        checkpoint.format,
        Format::KerasWeights(_) | Format::KerasArchive(_) | Format::Sharded(_)
    );
    let by_scope = matches!(
        checkpoint.format,
        Format::TensorFlowJs | Format::TensorFlowCheckpoint | Format::SavedModel
    );
    // A legacy file has one layer for a whole nested model.
    let file_name = |path: &str| match legacy {
        true => path.split('/').next().unwrap_or(path).to_string(),
        false => path.to_string(),
    };
    let named: Vec<Option<&SavedLayer>> = if by_scope {
        let paths: Vec<&str> = wanted.iter().map(|layer| layer.path.as_str()).collect();
        let scopes: Vec<&str> = saved.iter().map(|layer| layer.path.as_str()).collect();
        let found = match_scopes(&paths, &scopes).into_iter();
        found.map(|place| Some(saved[place?])).collect()
    } else {
        let mut names = checkpoint.name_paths();
        let mut by_name: HashMap<String, &SavedLayer> = HashMap::new();
        for layer in &saved {
            let name = match by_container {
                true => names.remove(layer.path.as_str()).unwrap_or_default(),
                // Names of Keras may have a dot (`mobilenetv2_1.00_160`); Keras 2 had `conv1/conv`
                // in DenseNet, which Keras 3 calls `conv1_conv`.
                false if legacy => layer.path.replace('/', "_"),
                false => layer.path.replace('.', "/"),
            };
            by_name.insert(name, layer);
        }
        let named = |layer: &Wanted<'_>| by_name.get(&file_name(&layer.path)).copied();
        wanted.iter().map(named).collect()
    };
    let mut needed = wanted
        .iter()
        .zip(&named)
        .filter(|(layer, _)| !kept.contains(&layer.path));
    let has_names = !by_container || checkpoint.layers.iter().any(|layer| layer.name.is_some());
    if has_names && needed.all(|(_, saved)| saved.is_some()) {
        return named;
    }
    // Names are of another session or another program (Keras counts `dense_4`, `dense_5`, … on from
    // model to model). Class and order tell the layers, but only if both sides have the same ones;
    // otherwise layers would be shifted.
    let keys: HashMap<String, &SavedLayer> = match by_container {
        true => saved
            .iter()
            .map(|layer| (layer.path.clone(), *layer))
            .collect(),
        false => {
            let mut counter = ContainerKeys::default();
            saved
                .iter()
                .map(|layer| (format!("layers/{}", counter.next(layer.class())), *layer))
                .collect()
        }
    };
    let ours: HashSet<&str> = wanted.iter().map(|layer| top_key(layer, legacy)).collect();
    let kept_keys: HashSet<&str> = wanted
        .iter()
        .filter(|layer| kept.contains(&layer.path))
        .map(|layer| top_key(layer, legacy))
        .collect();
    let same = ours
        .iter()
        .all(|key| kept_keys.contains(key) || keys.contains_key(*key))
        && keys.keys().all(|key| ours.contains(key.as_str()));
    if same {
        return wanted
            .iter()
            .map(|layer| keys.get(top_key(layer, legacy)).copied())
            .collect();
    }
    // Some networks have both given and automatic names.
    if legacy {
        let paths = wanted.iter().map(|layer| file_name(&layer.path));
        let paths: Vec<String> = paths.collect();
        let layers = wanted.iter().zip(&paths);
        let layers = layers.map(|(layer, name)| automatic_names::Named {
            name,
            class: class_of(top_key(layer, legacy)),
            is_optional: kept.contains(&layer.path),
        });
        let layers: Vec<automatic_names::Named<'_>> = layers.collect();
        let names: Vec<&str> = saved.iter().map(|layer| layer.path.as_str()).collect();
        if let Some(pairs) = automatic_names::pair(&layers, &names) {
            let layer = |position: Option<usize>| position.map(|position| saved[position]);
            return pairs.into_iter().map(layer).collect();
        }
    }
    // What is left is what names tell; the rest is reported as missing and unexpected.
    match has_names {
        true => named,
        false => vec![None; wanted.len()],
    }
}

fn top_key<'a>(layer: &'a Wanted<'_>, legacy: bool) -> &'a str {
    match legacy {
        // `layers/functional/layers/…` → `layers/functional`
        true => layer
            .key
            .match_indices('/')
            .nth(1)
            .map_or(&layer.key, |(end, _)| &layer.key[..end]),
        false => &layer.key,
    }
}

/// `layers/conv2d_3` → `conv2d`.
fn class_of(key: &str) -> &str {
    let key = key.rsplit_once('/').map_or(key, |(_, key)| key);
    let without_digits = key.trim_end_matches(|symbol: char| symbol.is_ascii_digit());
    match without_digits.strip_suffix('_') {
        Some(class) if without_digits.len() < key.len() => class,
        _ => key,
    }
}

/// The tensor of `weight` in its layer's counterpart: by name if the file names its tensors, else by
/// their order, which is the order in which the layer made them.
fn find_weight<'c>(
    saved: &'c SavedLayer,
    layer: &Wanted<'_>,
    position: usize,
    weight: &Weight,
) -> Option<&'c SavedWeight> {
    let numbered = |saved: &SavedWeight| {
        saved
            .variable()
            .is_none_or(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
    };
    if saved.weights.iter().all(numbered) {
        let fits = saved.weights.len() == layer.weights.len();
        return saved.weights.get(position).filter(|_| fits);
    }
    // Within a nested model of a legacy file, the inner path tells.
    let inner = weight.path().split_once('/').map_or("", |(_, inner)| inner);
    let of_nested = inner.contains('/');
    saved.weights.iter().find(|candidate| {
        let means = |name: &str| {
            candidate
                .variable()
                .is_some_and(|saved| old_names::means(saved, name))
        };
        match of_nested && saved.weights.len() > layer.weights.len() {
            true => {
                let (layer, variable) = inner.rsplit_once('/').unwrap_or(("", inner));
                let scope = candidate.scope().unwrap_or_default();
                (scope == layer || scope.ends_with(&format!("/{layer}"))) && means(variable)
            }
            false => means(weight.name()),
        }
    })
}
