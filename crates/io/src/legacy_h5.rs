//! `.h5` of Keras 1 and 2, which Keras 3 still reads and writes: weights by layer name, or a whole
//! model (`model.save("x.h5")`).
//!
//! The order of the layers is the attribute `layer_names`, that of a layer's weights `weight_names`.
//! Keras itself matches by position; the names tell the truth also where freezing had changed the
//! order. See Keras' `legacy/saving/legacy_h5_format.py`.

use std::io::Write;
use std::path::Path;

use serde_json::Value;

use crate::family::require_legacy;
use crate::hdf5::{self, Attribute, Group, NewGroup};
use crate::input::Input;
use crate::{
    Checkpoint, Error, Format, Result, SavedLayer, SavedOptimizer, SavedWeight, atomic, lora,
};

const MODEL_WEIGHTS: &str = "model_weights";
const OPTIMIZER_WEIGHTS: &str = "optimizer_weights";
/// The group of weights that belong to the model itself.
const TOP_LEVEL: &str = "top_level_model_weights";

/// Reads a legacy `.h5` file, of weights or of a whole model.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Io`]; [`Error::Format`] if it is not a sound HDF5 file or its JSON
/// is not; [`Error::Missing`] if a layer or weight that it lists is absent, or it lists none.
pub fn read(path: impl AsRef<Path>) -> Result<Checkpoint> {
    let path = path.as_ref();
    from_input(&Input::open(path)?).map_err(|error| error.in_file(&path.display().to_string()))
}

/// Reads the bytes of a legacy `.h5` file. A `Vec` is taken over, a slice is copied.
///
/// # Errors
/// As [`read`].
pub fn read_bytes(bytes: impl Into<Vec<u8>>) -> Result<Checkpoint> {
    from_input(&Input::memory(bytes.into()))
}

/// Writes a legacy `.h5` file: a whole model if the checkpoint has a
/// [`config`](Checkpoint::config), else weights only, without the optimizer. Either all of it is
/// written or what was there stays.
///
/// The layers are written in order under their [`name`](SavedLayer::name), the weights under theirs
/// (`sequential/dense/kernel`; a number where there is none). Legacy files know no nested layers: a
/// nested model must be one layer that has all the inner weights.
///
/// # Errors
/// [`Error::Io`] or [`Error::NotFound`] if the file cannot be written; [`Error::Format`] if two
/// tensors have the same name; [`Error::Unsupported`] for a checkpoint of another family of formats, whose
/// layers are at other places: see [`Checkpoint::for_format`].
pub fn write(path: impl AsRef<Path>, checkpoint: &Checkpoint) -> Result<()> {
    atomic::write(path.as_ref(), |out| write_to(out, checkpoint))
}

/// The bytes of a legacy `.h5` file.
///
/// # Errors
/// As [`write()`], but for the file system's.
pub fn to_bytes(checkpoint: &Checkpoint) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    write_to(&mut bytes, checkpoint)?;
    Ok(bytes)
}

fn write_to(out: impl Write, checkpoint: &Checkpoint) -> Result<()> {
    require_legacy(checkpoint)?;
    let mut root = NewGroup::default();
    let metadata = &checkpoint.metadata;
    root.entries(&metadata.entries)?;
    let versions = [
        ("backend", &metadata.backend),
        ("keras_version", &metadata.keras_version),
    ];
    let is_model = checkpoint.config.is_some();
    if is_model {
        for (name, json) in [
            ("model_config", &checkpoint.config),
            ("training_config", &checkpoint.compile_config),
        ] {
            if let Some(json) = json {
                root.text(name, &json.to_string())?;
            }
        }
        for (name, value) in versions {
            if let Some(value) = value {
                root.text(name, value)?;
            }
        }
    }
    let weights = match is_model {
        true => root.group(MODEL_WEIGHTS)?,
        false => &mut root,
    };
    for (name, value) in versions {
        if let Some(value) = value {
            weights.text(name, value)?;
        }
    }
    let is_layer = |layer: &&SavedLayer| layer.name() != TOP_LEVEL;
    let names: Vec<String> = checkpoint
        .layers
        .iter()
        .filter(is_layer)
        .map(|layer| layer.name().to_string())
        .collect();
    weights.texts("layer_names", &names)?;
    for layer in &checkpoint.layers {
        put_weights(weights.group(layer.name())?, &layer.weights)
            .map_err(|error| error.in_file(layer.name()))?;
    }
    if names.len() == checkpoint.layers.len() {
        put_weights(weights.group(TOP_LEVEL)?, &[])?;
    }
    if let (true, Some(optimizer)) = (is_model, &checkpoint.optimizer) {
        let scaling = optimizer.loss_scale.iter();
        put_weights(
            root.group(OPTIMIZER_WEIGHTS)?,
            scaling.chain(&optimizer.variables),
        )
        .map_err(|error| error.in_file(OPTIMIZER_WEIGHTS))?;
    }
    root.write_to(out)
}

fn put_weights<'a>(
    group: &mut NewGroup<'a>,
    weights: impl IntoIterator<Item = &'a SavedWeight>,
) -> Result<()> {
    let mut names = Vec::new();
    for (i, weight) in weights.into_iter().enumerate() {
        let name = weight.name.clone().unwrap_or_else(|| i.to_string());
        group.dataset(&name, &weight.tensor)?;
        names.push(name);
    }
    group.texts("weight_names", &names)
}

/// Whether `root` is that of a legacy file.
pub(crate) fn is_legacy(root: &Group) -> bool {
    texts(root, "layer_names").is_some() || root.group(MODEL_WEIGHTS).is_some()
}

fn from_input(input: &Input) -> Result<Checkpoint> {
    from_tree(&hdf5::open(input)?)
}

pub(crate) fn from_tree(root: &Group) -> Result<Checkpoint> {
    let listed_at_root = texts(root, "layer_names").is_some();
    let (format, prefix, group) = match root.group(MODEL_WEIGHTS) {
        Some(group) if !listed_at_root => (Format::LegacyModel, "model_weights/", group),
        _ => (Format::LegacyWeights, "", root),
    };
    let names = texts(group, "layer_names").ok_or_else(|| {
        Error::missing(prefix, "the attribute layer_names of a legacy .h5", "none")
            .help("a file of Keras 3 is read by keras_weights::read")
    })?;
    let mut checkpoint = Checkpoint::new(format);
    checkpoint.metadata.entries = root.entries();
    for name in &names {
        let path = format!("{prefix}{name}");
        let layer = group
            .descend(name)
            .ok_or_else(|| Error::missing(&path, "the group of this layer", "none"))?;
        checkpoint.layers.push(SavedLayer {
            path: name.clone(),
            name: Some(name.clone()),
            weights: weights(layer, &path)?,
        });
    }
    if let Some(top_level) = group.group(TOP_LEVEL) {
        let weights = weights(top_level, &format!("{prefix}{TOP_LEVEL}"))?;
        if !weights.is_empty() {
            let mut layer = SavedLayer::new(TOP_LEVEL, TOP_LEVEL);
            layer.weights = weights;
            checkpoint.layers.push(layer);
        }
    }
    if let Some(group) = root.group(OPTIMIZER_WEIGHTS) {
        let mut variables = weights(group, OPTIMIZER_WEIGHTS)?;
        // A loss scaling lists its own variables before those of the optimizer within.
        let scale = |weight: &SavedWeight| weight.variable() == Some("dynamic_scale");
        let own = variables.iter().position(scale).map_or(0, |last| last + 1);
        let loss_scale = variables.drain(..own).collect();
        checkpoint.optimizer = Some(SavedOptimizer {
            name: None,
            variables: in_pairs(variables),
            loss_scale,
        });
    }
    let version = |name| group.text(name).or(root.text(name)).map(str::to_string);
    checkpoint.metadata.keras_version = version("keras_version");
    checkpoint.metadata.backend = version("backend");
    checkpoint.config = json(root, "model_config")?;
    checkpoint.compile_config = json(root, "training_config")?;
    lora::merge(&mut checkpoint)?;
    Ok(checkpoint)
}

/// The memory of Keras' first optimizers as later ones have it: they stored the first slots of all weights, and
/// then the second ones (`Adam/dense/kernel/m:0`). Later, names end in the weight's.
fn in_pairs(variables: Vec<SavedWeight>) -> Vec<SavedWeight> {
    const PAIRS: [(&str, &str); 2] = [("m", "v"), ("accum_grad", "accum_var")];
    for (first, second) in PAIRS {
        let is = |weight: &SavedWeight, slot| weight.variable() == Some(slot);
        let firsts = variables.iter().filter(|weight| is(weight, first));
        let partner = |weight: &SavedWeight| {
            let same = |other: &&SavedWeight| is(other, second) && other.scope() == weight.scope();
            variables.iter().find(same)
        };
        let partners: Option<Vec<&SavedWeight>> = firsts.clone().map(partner).collect();
        let Some(partners) = partners.filter(|partners| !partners.is_empty()) else {
            continue;
        };
        let start = variables.iter().position(|weight| is(weight, first));
        let (before, rest) = variables.split_at(start.unwrap_or_default());
        let pairs = firsts
            .zip(partners)
            .flat_map(|(first, second)| [first, second]);
        let others = rest
            .iter()
            .filter(|weight| !is(weight, first) && !is(weight, second));
        return before.iter().chain(pairs).chain(others).cloned().collect();
    }
    variables
}

fn weights(group: &Group, path: &str) -> Result<Vec<SavedWeight>> {
    let names = texts(group, "weight_names")
        .ok_or_else(|| Error::missing(path, "the attribute weight_names", "none"))?;
    let read = |name: String| {
        let at = format!("{path}/{name}");
        let dataset = group
            .dataset(&name)
            .ok_or_else(|| Error::missing(&at, "the dataset that weight_names lists", "none"))?;
        Ok(SavedWeight {
            tensor: dataset.read(&at)?,
            path: at,
            name: Some(name),
        })
    };
    names.into_iter().map(read).collect()
}

/// A list of names, also one that is split into `name0`, `name1`, ….
fn texts(group: &Group, name: &str) -> Option<Vec<String>> {
    if let Some(Attribute::Texts(texts)) = group.attributes.get(name) {
        return Some(texts.clone());
    }
    let mut all: Option<Vec<String>> = None;
    for part in 0.. {
        match group.attributes.get(&format!("{name}{part}")) {
            Some(Attribute::Texts(texts)) => all.get_or_insert_default().extend_from_slice(texts),
            _ => break,
        }
    }
    all
}

fn json(root: &Group, name: &str) -> Result<Option<Value>> {
    let Some(text) = root.text(name) else {
        return Ok(None);
    };
    match serde_json::from_str(text) {
        Ok(value) => Ok(Some(value)),
        Err(error) => Err(Error::format(name, "JSON", error)),
    }
}
