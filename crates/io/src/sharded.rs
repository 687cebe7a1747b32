//! `.weights.json`: Keras' weights by container path, spread over several `.weights.h5` files of
//! limited size. The JSON file says which group is in which file; a layer may be in several.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::family::require_containers;
use crate::hdf5::NewGroup;
use crate::input::Input;
use crate::keras_weights::{put_layer, put_optimizer, vars_path};
use crate::naming::{is_plain_name, natural_order};
use crate::{Checkpoint, Dialect, Error, Format, Result, SavedWeight, atomic, keras_weights};

/// The JSON file.
#[derive(Deserialize, Serialize)]
struct Index {
    #[serde(default)]
    metadata: IndexMetadata,
    weight_map: serde_json::Map<String, serde_json::Value>,
}

#[derive(Default, Deserialize, Serialize)]
struct IndexMetadata {
    /// Bytes of all values.
    #[serde(default)]
    total_size: f64,
    /// Further entries, which Keras passes over.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    entries: BTreeMap<String, String>,
}

/// Reads a `.weights.json` file and the `.weights.h5` files beside it that it names.
///
/// # Errors
/// [`Error::NotFound`] and [`Error::Io`], also for a shard; [`Error::Format`] if the JSON is not as
/// Keras writes it, names a file in another folder, or two shards hold the same tensor;
/// [`Error::Missing`] if a shard lacks a group that the JSON places there.
pub fn read(path: impl AsRef<Path>) -> Result<Checkpoint> {
    let path = path.as_ref();
    let wrap = |error: std::io::Error| Error::io(path, "a readable file", &error);
    let index = std::fs::read(path).map_err(wrap)?;
    from_index(&index, |name| Input::open(&path.with_file_name(name)))
        .map_err(|error| error.in_file(&path.display().to_string()))
}

/// Reads shards from anywhere: `index` are the bytes of the `.weights.json` file, and `shard`
/// returns the bytes of the file it is given the name of.
///
/// # Errors
/// As [`read`], and what `shard` returns.
pub fn read_with(
    index: &[u8],
    mut shard: impl FnMut(&str) -> Result<Vec<u8>>,
) -> Result<Checkpoint> {
    from_index(index, |name| shard(name).map(Input::memory))
}

/// Writes a `.weights.json` file and beside it `NAME_00000.weights.h5`, … of at most
/// `max_shard_size` bytes of values each. All of it is on disk before the first file gets its name;
/// the JSON file gets its name last. (The JSON names groups with weights only, so a checkpoint without
/// a single tensor does not come back.)
///
/// # Errors
/// [`Error::Limit`] if one tensor is larger than `max_shard_size`; otherwise as
/// [`keras_weights::write`].
pub fn write(path: impl AsRef<Path>, checkpoint: &Checkpoint, max_shard_size: usize) -> Result<()> {
    require_containers(checkpoint)?;
    let path = path.as_ref();
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let base = stem.replace(".weights", "");
    let (index, shards) = plan(checkpoint, max_shard_size, &base)?;
    let mut staged = Vec::with_capacity(shards.len() + 1);
    for (name, shard) in shards {
        let file = path.with_file_name(name);
        staged.push(atomic::stage(&file, |out| shard.write_to(out))?);
    }
    staged.push(atomic::stage(path, |out| {
        serde_json::to_writer_pretty(out, &index)
            .map_err(|error| Error::io(path, "room to write", &error.into()))
    })?);
    staged.into_iter().try_for_each(atomic::Staged::commit)
}

/// Distributes the groups over shards, filling one after the other.
fn plan<'a>(
    checkpoint: &'a Checkpoint,
    max_shard_size: usize,
    base: &str,
) -> Result<(Index, Vec<(String, NewGroup<'a>)>)> {
    let shard_name = |i: usize| format!("{base}_{i:05}.weights.h5");
    let mut shards = vec![NewGroup::default()];
    let mut weight_map: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let (mut filled, mut total) = (0, 0);

    let optimizer = checkpoint.optimizer.iter();
    let groups = checkpoint
        .layers
        .iter()
        .map(|layer| (Some(layer), None, vars_path(&layer.path), &layer.weights))
        .chain(optimizer.map(|saved| {
            let path = "optimizer/vars".to_string();
            (None, Some(saved), path, &saved.variables)
        }));
    for (layer, optimizer, path, weights) in groups {
        let mut first = 0;
        // Each round puts the run of weights that fits the current shard.
        loop {
            let mut end = first;
            while let Some(weight) = weights.get(end) {
                let size = weight.tensor.bytes().len();
                if size > max_shard_size {
                    return Err(Error::limit(
                        format!("{path}/{end}"),
                        format!("at most {max_shard_size} bytes per tensor"),
                        format!("{size} bytes"),
                    )
                    .help("increase max_shard_size"));
                }
                if filled + size > max_shard_size {
                    break;
                }
                filled += size;
                total += size;
                end += 1;
            }
            let last = shards.len() - 1;
            let shard = &mut shards[last];
            if end > first || weights.is_empty() {
                if let Some(layer) = layer {
                    put_layer(shard, layer, first..end)?;
                }
                if let Some(optimizer) = optimizer {
                    put_optimizer(shard, optimizer, first..end)?;
                }
            }
            if end > first {
                let files = weight_map.entry(format!("/{path}")).or_default();
                files.push(shard_name(last));
            }
            if end == weights.len() {
                break;
            }
            shards.push(NewGroup::default());
            (filled, first) = (0, end);
        }
    }
    let last = shards.len() - 1;
    for weight in &checkpoint.extra {
        shards[last].dataset(&weight.path, &weight.tensor)?;
    }

    let entry = |(path, mut files): (String, Vec<String>)| {
        // As Keras: one name, or a list of several.
        let value = match files.len() {
            1 => files.remove(0).into(),
            _ => files.into(),
        };
        (path, value)
    };
    let index = Index {
        metadata: IndexMetadata {
            total_size: total as f64,
            entries: checkpoint.metadata.entries.clone(),
        },
        weight_map: weight_map.into_iter().map(entry).collect(),
    };
    let shards = shards.into_iter().enumerate();
    let shards = shards.map(|(i, shard)| (shard_name(i), shard)).collect();
    Ok((index, shards))
}

fn from_index(index: &[u8], mut open: impl FnMut(&str) -> Result<Input>) -> Result<Checkpoint> {
    let index: Index = serde_json::from_slice(index).map_err(|error| {
        Error::format(
            "",
            "JSON with metadata and weight_map, as Keras writes it",
            error,
        )
    })?;
    // Which groups each shard is said to hold.
    let mut shards: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (path, files) in &index.weight_map {
        let files = match files {
            serde_json::Value::Array(files) => files.as_slice(),
            file => std::slice::from_ref(file),
        };
        for file in files {
            let name = file.as_str().filter(|name| is_plain_name(name));
            let name = name.ok_or_else(|| {
                Error::format(path, "the name of a file in the same folder", file)
            })?;
            shards.entry(name).or_default().push(path);
        }
    }

    let mut whole = Checkpoint::new(Format::Sharded(Dialect::Unnamed));
    for (name, groups) in shards {
        let part = open(name)
            .and_then(|input| keras_weights::from_input(&input))
            .map_err(|error| error.in_file(name))?;
        for group in groups {
            check_present(&part, group).map_err(|error| error.in_file(name))?;
        }
        merge(&mut whole, part)?;
    }
    whole.metadata.entries = index.metadata.entries;
    whole.layers.sort_by(|a, b| natural_order(&a.path, &b.path));
    for layer in &mut whole.layers {
        sort(&mut layer.weights)?;
    }
    if let Some(optimizer) = &mut whole.optimizer {
        sort(&mut optimizer.variables)?;
    }
    sort(&mut whole.extra)?;
    Ok(whole)
}

fn check_present(part: &Checkpoint, group: &str) -> Result<()> {
    let inside = format!("{}/", group.trim_matches('/'));
    let present = part
        .tensors()
        .any(|(_, weight)| weight.path.starts_with(&inside));
    match present {
        true => Ok(()),
        false => Err(Error::missing(
            group,
            "the group that the .weights.json places in this shard",
            "none",
        )
        .help("the shards are of different saves, or one was replaced")),
    }
}

fn merge(whole: &mut Checkpoint, part: Checkpoint) -> Result<()> {
    if let Format::KerasWeights(dialect) = part.format
        && dialect != Dialect::Unnamed
    {
        whole.format = Format::Sharded(dialect);
    }
    let mut places: std::collections::HashMap<String, usize> = whole
        .layers
        .iter()
        .enumerate()
        .map(|(i, layer)| (layer.path.clone(), i))
        .collect();
    for layer in part.layers {
        match places.get(&layer.path) {
            Some(&place) => {
                let known = &mut whole.layers[place];
                known.weights.extend(layer.weights);
                known.name = known.name.take().or(layer.name);
            }
            None => {
                places.insert(layer.path.clone(), whole.layers.len());
                whole.layers.push(layer);
            }
        }
    }
    if let Some(optimizer) = part.optimizer {
        let known = whole.optimizer.get_or_insert_default();
        known.variables.extend(optimizer.variables);
        known.name = known.name.take().or(optimizer.name);
    }
    whole.extra.extend(part.extra);
    Ok(())
}

/// Brings the parts of a group into order; no tensor may be there twice.
fn sort(weights: &mut [SavedWeight]) -> Result<()> {
    weights.sort_by(|a, b| natural_order(&a.path, &b.path));
    match weights.windows(2).find(|pair| pair[0].path == pair[1].path) {
        None => Ok(()),
        Some(pair) => Err(Error::format(
            &pair[0].path,
            "every tensor in one shard only",
            "two of them",
        )),
    }
}
