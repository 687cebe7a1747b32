//! Loading weights: plan, verify, commit. Nothing is written until everything fits, and a report
//! says what was loaded from where.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use regraft_autograd::VariableId;
use regraft_io::{Checkpoint, ContainerKeys, Format, SavedLayer, SavedWeight};
use regraft_layers::{Model as LayersModel, Selector, Weight, near};
use regraft_tensor::{Detail, Tensor};

use crate::automatic_names;
use crate::keys::keyed_places;
use crate::layout::Layout;
use crate::load_report::{LoadError, LoadReport, Loaded, Mismatched, OptimizerState};
use crate::name_map::NameMap;
use crate::old_names;
use crate::scopes::match_scopes;
use crate::trainable::{Network, Trainable, not_compiled};
use crate::{Error, Result};

/// What to load and how: `Load::new().keep("head")`. The defaults are strict: every weight of the
/// model must be in the file and every weight of the file in the model.
///
/// Weights that another program wrote go into the model by a map of names, and by the conventions of
/// that program ([`Layout`]):
///
/// ```no_run
/// # fn main() -> regraft::Result<()> {
/// # let mut model = regraft::Sequential::new(Vec::new())?;
/// use regraft::{Layout, Load};
///
/// let load = Load::map([
///     ("features.0.0.**", "stem_conv/$1"),
///     ("features.*.conv.**", "block_$1/$2"),
/// ]);
/// let report = model.load_weights_with("weights.safetensors", load.layout(Layout::PyTorch))?;
/// println!("{report}"); // … converted: OIHW → HWIO  stem_conv/kernel …
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "pass it to `load_weights_with`"]
pub struct Load {
    keep: Option<Selector>,
    allow_missing: bool,
    allow_unexpected: bool,
    skip_optimizer: bool,
    names: Option<NameMap>,
    layout: Option<Layout>,
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

    /// As [`new`](Self::new), with names of tensors in the file rewritten to those of the model's
    /// weights by the first pattern that matches; other names stay. See [`rename`](Self::rename).
    ///
    /// In a pattern `*` stands for anything but `.` and `/`, `**` for anything, both for nothing too;
    /// `$1`, `$2`, … in a replacement are what they stood for. A pattern that matches no tensor is an
    /// error.
    pub fn map<P: Into<String>, R: Into<String>>(
        patterns: impl IntoIterator<Item = (P, R)>,
    ) -> Self {
        let patterns = patterns.into_iter();
        let patterns = patterns.map(|(pattern, name)| (pattern.into(), name.into()));
        Load {
            names: Some(NameMap::Patterns(patterns.collect())),
            ..Load::default()
        }
    }

    /// Rewrites the names of the file's tensors (`features.0.0.weight`, `base/conv1/kernel`) to those
    /// of the model's weights (`conv1/kernel`), in which `.` is as good as `/`. The last part may be the
    /// file's own word, if a [`layout`](Self::layout) tells what it means. Layers are matched by these
    /// names alone then, never by class and order.
    pub fn rename(mut self, rename: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        self.names = Some(NameMap::Function(Arc::new(rename)));
        self
    }

    /// Whose conventions for the names and the layouts of a layer's weights the file follows: PyTorch's
    /// for PyTorch's own files, Keras' for all others unless told here. A `.safetensors` file does not
    /// say who wrote it, so PyTorch's must be asked for.
    pub fn layout(mut self, layout: Layout) -> Self {
        self.layout = Some(layout);
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
        let layout = load.layout.unwrap_or(Layout::of(checkpoint.format));
        let wanted = layers_of(model);
        let sources = match (&load.names, layout) {
            (None, Layout::Keras) => find_by_layers(&wanted, checkpoint, &kept),
            (names, _) => find_by_names(&wanted, checkpoint, &kept, names.as_ref(), layout)?,
        };
        let (mut report, values) = plan(&wanted, checkpoint, source, &kept, &sources, layout);
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

/// For each wanted layer, what the file has for each of its weights; and the tensors that belong to
/// layers which keep theirs.
struct Sources<'c> {
    weights: Vec<Vec<Option<&'c SavedWeight>>>,
    not_wanted: Vec<&'c SavedWeight>,
}

/// What goes where, without touching the model.
fn plan(
    wanted: &[Wanted<'_>],
    checkpoint: &Checkpoint,
    source: &str,
    kept: &HashSet<String>,
    sources: &Sources<'_>,
    layout: Layout,
) -> (LoadReport, Vec<(VariableId, Tensor)>) {
    let mut report = LoadReport::new(source, checkpoint.format);
    let mut values = Vec::new();
    let not_wanted = sources.not_wanted.iter();
    let mut used: HashSet<*const SavedWeight> =
        not_wanted.map(|w| std::ptr::from_ref(*w)).collect();
    for (layer, found) in wanted.iter().zip(&sources.weights) {
        if kept.contains(&layer.path) {
            let weights = layer.weights.iter();
            let paths = weights.map(|(_, weight)| weight.path().to_string());
            report.kept.extend(paths);
            continue;
        }
        for ((id, weight), found) in layer.weights.iter().zip(found) {
            let Some(found) = found else {
                report.missing.push(weight.path().to_string());
                continue;
            };
            used.insert(std::ptr::from_ref(*found));
            let shape = weight.value().shape();
            let tensor = found.tensor.to_tensor().map_err(|error| error.to_string());
            let converted =
                tensor.and_then(|it| layout.convert(layer.class_name, weight.name(), it, shape));
            let (tensor, converted) = match converted {
                Ok(converted) => converted,
                Err(reason) => {
                    report.missing.push(format!("{} ({reason})", weight.path()));
                    continue;
                }
            };
            if tensor.shape() != shape {
                report.mismatched.push(Mismatched {
                    weight: weight.path().to_string(),
                    source: found.path.clone(),
                    expected: shape.to_vec(),
                    received: tensor.shape().to_vec(),
                });
                continue;
            }
            report.loaded.push(Loaded {
                weight: weight.path().to_string(),
                source: found.path.clone(),
                shape: shape.to_vec(),
                data_type: found.tensor.data_type(),
                layout: converted,
            });
            values.push((*id, tensor));
        }
    }
    for weight in checkpoint.layers.iter().flat_map(|layer| &layer.weights) {
        if used.contains(&std::ptr::from_ref(weight)) {
            continue;
        }
        match layout.ignores(&weight.path) {
            true => report.ignored.push(weight.path.clone()),
            false => report.unexpected.push(weight.path.clone()),
        }
    }
    (report, values)
}

/// What the file has for each wanted weight, by the names of its tensors.
fn find_by_names<'c>(
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

fn is_legacy(format: Format) -> bool {
    matches!(format, Format::LegacyModel | Format::LegacyWeights)
}

/// Whether the file's layers are groups in containers, numbered by class.
fn by_container(format: Format) -> bool {
    matches!(
        format,
        Format::KerasWeights(_) | Format::KerasArchive(_) | Format::Sharded(_)
    )
}

/// A layer of the model that has weights.
struct Wanted<'a> {
    /// In layers' names: `base/bn1`.
    path: String,
    /// In Keras' keys: `layers/sequential/layers/batch_normalization`.
    key: String,
    class_name: &'a str,
    weights: Vec<(VariableId, &'a Weight)>,
}

fn layers_of(model: &LayersModel) -> Vec<Wanted<'_>> {
    keyed_places(model)
        .into_iter()
        .filter(|(_, place)| !place.weights.is_empty())
        .map(|(key, place)| Wanted {
            path: place.path,
            key,
            class_name: place.class_name,
            weights: place
                .weights
                .iter()
                .filter_map(|&id| Some((id, model.weights().get(id)?)))
                .collect(),
        })
        .collect()
}

/// What the file has for each wanted weight, layer by layer.
fn find_by_layers<'c>(
    wanted: &[Wanted<'_>],
    checkpoint: &'c Checkpoint,
    kept: &HashSet<String>,
) -> Sources<'c> {
    let pairs = match_layers(wanted, checkpoint, kept);
    let mut sources = Sources {
        weights: Vec::with_capacity(wanted.len()),
        not_wanted: Vec::new(),
    };
    for (layer, saved) in wanted.iter().zip(pairs) {
        let of_layer = |(position, (_, weight)): (usize, &(VariableId, &Weight))| {
            find_weight(saved?, layer, position, weight)
        };
        let weights = layer.weights.iter().enumerate().map(of_layer);
        sources.weights.push(weights.collect());
        if let (true, Some(saved)) = (kept.contains(&layer.path), saved) {
            sources.not_wanted.extend(&saved.weights);
        }
    }
    sources
}

/// For each wanted layer its counterpart in the file.
fn match_layers<'c>(
    wanted: &[Wanted<'_>],
    checkpoint: &'c Checkpoint,
    kept: &HashSet<String>,
) -> Vec<Option<&'c SavedLayer>> {
    let legacy = is_legacy(checkpoint.format);
    let saved: Vec<&SavedLayer> = checkpoint
        .layers
        .iter()
        .filter(|layer| !layer.weights.is_empty())
        .collect();
    let by_container = by_container(checkpoint.format);
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
