//! `.weights.h5`: Keras' weights by container path, as Keras 2.12 and all later ones write them.
//!
//! A layer is a group with a group `vars`, whose datasets are numbered; the layer's name is the
//! attribute `name` of `vars` (since Keras 3.6). The layers of a model lie in its group `layers`,
//! under their class and a number. See Keras' `saving/saving_lib.py`.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use crate::family::require_containers;
use crate::hdf5::{self, Group, NewGroup, join};
use crate::input::Input;
use crate::naming::{split_ordinal, with_ordinal};
use crate::{Checkpoint, Dialect, Format, Result, SavedLayer, SavedOptimizer, SavedWeight, atomic};

/// How Keras 2.12–2.14 called the container of layers.
const OLD_CONTAINER: &str = "_layer_checkpoint_dependencies";

/// The group of the optimizer within one that scales the loss, and Keras' name of the latter.
const INNER_OPTIMIZER: &str = "inner_optimizer";
const LOSS_SCALE: &str = "loss_scale_optimizer";

/// Reads a `.weights.h5` file.
///
/// # Errors
/// [`Error::NotFound`](crate::Error::NotFound), [`Error::Io`](crate::Error::Io), [`Error::Format`](crate::Error::Format) if it is not a sound HDF5 file,
/// [`Error::Unsupported`](crate::Error::Unsupported) for element types that weights never have, [`Error::Limit`](crate::Error::Limit) if it
/// declares more than it holds.
pub fn read(path: impl AsRef<Path>) -> Result<Checkpoint> {
    let path = path.as_ref();
    from_input(&Input::open(path)?).map_err(|error| error.in_file(&path.display().to_string()))
}

/// Reads the bytes of a `.weights.h5` file. A `Vec` is taken over, a slice is copied.
///
/// # Errors
/// As [`read`].
pub fn read_bytes(bytes: impl Into<Vec<u8>>) -> Result<Checkpoint> {
    from_input(&Input::memory(bytes.into()))
}

/// Writes a `.weights.h5` file, as Keras 3.6 and later do. Either the whole file is written or the
/// one that was there stays.
///
/// Layers go to their [`path`](SavedLayer::path), with their weights numbered in order.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io) or [`Error::NotFound`](crate::Error::NotFound) if the file cannot be written; [`Error::Format`](crate::Error::Format) if two
/// layers have the same path; [`Error::Unsupported`](crate::Error::Unsupported) for a checkpoint of another
/// family of formats, whose layers are at other places: see [`Checkpoint::for_format`].
pub fn write(path: impl AsRef<Path>, checkpoint: &Checkpoint) -> Result<()> {
    atomic::write(path.as_ref(), |out| write_to(out, checkpoint))
}

/// The bytes of a `.weights.h5` file.
///
/// # Errors
/// [`Error::Format`](crate::Error::Format) if two layers have the same path.
pub fn to_bytes(checkpoint: &Checkpoint) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    write_to(&mut bytes, checkpoint)?;
    Ok(bytes)
}

pub(crate) fn write_to(out: impl Write, checkpoint: &Checkpoint) -> Result<()> {
    require_containers(checkpoint)?;
    let mut root = NewGroup::default();
    root.entries(&checkpoint.metadata.entries)?;
    for layer in &checkpoint.layers {
        put_layer(&mut root, layer, 0..layer.weights.len())?;
    }
    if let Some(optimizer) = &checkpoint.optimizer {
        put_optimizer(&mut root, optimizer, 0..optimizer.variables.len())?;
    }
    for weight in &checkpoint.extra {
        root.dataset(&weight.path, &weight.tensor)?;
    }
    root.write_to(out)
}

/// Puts the `chosen` weights of `layer` into its group.
pub(crate) fn put_layer<'a>(
    root: &mut NewGroup<'a>,
    layer: &'a SavedLayer,
    chosen: std::ops::Range<usize>,
) -> Result<()> {
    let path = vars_path(&layer.path);
    put_variables(root, &path, layer.name.as_deref(), &layer.weights, chosen)
}

/// Puts the `chosen` variables of `optimizer` into its group.
pub(crate) fn put_optimizer<'a>(
    root: &mut NewGroup<'a>,
    optimizer: &'a SavedOptimizer,
    chosen: std::ops::Range<usize>,
) -> Result<()> {
    let name = optimizer.name.as_deref();
    if optimizer.loss_scale.is_empty() {
        return put_variables(root, "optimizer/vars", name, &optimizer.variables, chosen);
    }
    // The outer optimizer lists its own variables and then the inner one's, and these stand in a group
    // of their own, too.
    let own = optimizer.loss_scale.len();
    let outer = root.group("optimizer/vars")?;
    outer.text("name", LOSS_SCALE)?;
    let all = optimizer.loss_scale.iter().chain(&optimizer.variables);
    for (number, weight) in all.enumerate() {
        if number < own && chosen.start == 0 || chosen.contains(&number.wrapping_sub(own)) {
            outer.dataset(&number.to_string(), &weight.tensor)?;
        }
    }
    let path = format!("optimizer/{INNER_OPTIMIZER}/vars");
    let inner = root.group(&path)?;
    if let Some(name) = name {
        inner.text("name", name)?;
    }
    for number in chosen {
        let weight = &optimizer.variables[number];
        inner.dataset(&number.to_string(), &weight.tensor)?;
    }
    Ok(())
}

/// The group of the variables of the layer at `path`.
pub(crate) fn vars_path(path: &str) -> String {
    match path {
        "" => "vars".to_string(),
        _ => format!("{path}/vars"),
    }
}

fn put_variables<'a>(
    root: &mut NewGroup<'a>,
    path: &str,
    name: Option<&str>,
    weights: &'a [SavedWeight],
    chosen: std::ops::Range<usize>,
) -> Result<()> {
    let group = root.group(path)?;
    if let Some(name) = name {
        group.text("name", name).map_err(|e| e.in_file(path))?;
    }
    for (i, weight) in weights.iter().enumerate() {
        if chosen.contains(&i) {
            // A layer with its own `save_own_variables` chooses its keys; they are kept.
            let number = i.to_string();
            let key = key_in_vars(&weight.path).unwrap_or(&number);
            group
                .dataset(key, &weight.tensor)
                .map_err(|error| error.in_file(path))?;
        }
    }
    Ok(())
}

/// `0` of `layers/dense/vars/0`.
fn key_in_vars(path: &str) -> Option<&str> {
    match path.rsplit_once("/vars/") {
        Some((_, key)) => Some(key),
        None => path.strip_prefix("vars/"),
    }
}

pub(crate) fn from_input(input: &Input) -> Result<Checkpoint> {
    from_tree(hdf5::open(input)?)
}

/// Reads the weights of an opened file.
pub(crate) fn from_tree(root: Group) -> Result<Checkpoint> {
    let mut reading = Reading {
        checkpoint: Checkpoint::new(Format::KerasWeights(Dialect::Unnamed)),
    };
    let old = root.group(OLD_CONTAINER).is_some();
    for (name, group) in &root.groups {
        match name.as_str() {
            "optimizer" => reading.optimizer(group, name)?,
            "metrics" => reading.extra(group, name)?,
            _ => {}
        }
    }
    reading.layer(&root, "", "")?;
    let mut checkpoint = reading.checkpoint;
    let named = checkpoint.layers.iter().any(|layer| layer.name.is_some());
    let dialect = match (old, named) {
        (true, _) => Dialect::Keras2_13,
        (false, true) => Dialect::Named,
        (false, false) => Dialect::Unnamed,
    };
    checkpoint.format = Format::KerasWeights(dialect);
    checkpoint.metadata.entries = root.entries();
    Ok(checkpoint)
}

struct Reading {
    checkpoint: Checkpoint,
}

impl Reading {
    /// Reads the layer that `group` is, if it is one, and all below. `file_path` is the group's
    /// path in the file, `path` the one that Keras 3 would use.
    fn layer(&mut self, group: &Group, file_path: &str, path: &str) -> Result<()> {
        let vars = group.group("vars");
        let mut weights = Vec::new();
        if let Some(vars) = vars {
            collect(vars, &vars_path(file_path), &mut weights)?;
        }
        // Keras keeps datasets in `vars` only; others' files have them anywhere.
        for (name, dataset) in &group.datasets {
            let at = join(file_path, name);
            let tensor = dataset.read(&at)?;
            weights.push(SavedWeight {
                path: at,
                name: Some(name.clone()),
                tensor,
            });
        }
        if vars.is_some() || !weights.is_empty() {
            self.checkpoint.layers.push(SavedLayer {
                path: path.to_string(),
                name: vars.and_then(|vars| vars.text("name")).map(str::to_string),
                weights,
            });
        }
        let skips_numbers = file_path.rsplit('/').next() == Some(OLD_CONTAINER);
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for (name, below) in &group.groups {
            let at_root = path.is_empty();
            if name == "vars" || (at_root && matches!(name.as_str(), "optimizer" | "metrics")) {
                continue;
            }
            let key = if name == OLD_CONTAINER {
                "layers".to_string()
            } else if skips_numbers {
                // Its numbers skip, because it counted every layer with weights twice: close up.
                let class = split_ordinal(name).0;
                let count = counts.entry(class).or_insert(0);
                *count += 1;
                with_ordinal(class, *count - 1)
            } else {
                name.clone()
            };
            self.layer(below, &join(file_path, name), &join(path, &key))?;
        }
        Ok(())
    }

    fn optimizer(&mut self, group: &Group, path: &str) -> Result<()> {
        let mut optimizer = SavedOptimizer::default();
        if let Some(vars) = group.group("vars") {
            optimizer.name = vars.text("name").map(str::to_string);
            collect(vars, &join(path, "vars"), &mut optimizer.variables)?;
        }
        for (name, below) in &group.groups {
            match (name.as_str(), below.group("vars")) {
                ("vars", _) => {}
                // Loss scaling: the outer optimizer lists its own variables and the inner one's.
                (INNER_OPTIMIZER, Some(vars)) => {
                    let mut inner = Vec::new();
                    let at = join(&join(path, name), "vars");
                    collect(vars, &at, &mut inner)?;
                    let own = optimizer.variables.len().saturating_sub(inner.len());
                    optimizer.variables.truncate(own);
                    optimizer.loss_scale = std::mem::replace(&mut optimizer.variables, inner);
                    if let Some(name) = vars.text("name") {
                        optimizer.name = Some(name.to_string());
                    }
                }
                // Other optimizers within an optimizer.
                _ => self.extra(below, &join(path, name))?,
            }
        }
        self.checkpoint.optimizer = Some(optimizer);
        Ok(())
    }

    fn extra(&mut self, group: &Group, path: &str) -> Result<()> {
        collect(group, path, &mut self.checkpoint.extra)
    }
}

/// Reads every dataset of `group` and below. Names are kept unless they are mere numbers.
fn collect(group: &Group, path: &str, weights: &mut Vec<SavedWeight>) -> Result<()> {
    for (name, dataset) in &group.datasets {
        let at = join(path, name);
        let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
        weights.push(SavedWeight {
            name: (!is_number).then(|| name.clone()),
            tensor: dataset.read(&at)?,
            path: at,
        });
    }
    for (name, below) in &group.groups {
        collect(below, &join(path, name), weights)?;
    }
    Ok(())
}
