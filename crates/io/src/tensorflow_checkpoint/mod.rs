//! TensorFlow 2 checkpoints: `X.index` and `X.data-00000-of-0000N`, what Keras 2 wrote by default
//! (`model.save_weights("X")`) and `tf.train.Checkpoint` writes. Keras 3 does not read them any more.
//!
//! Real names (`dense/kernel`) and the order of the layers are in the graph of saved objects, which is
//! a tensor of its own. Checkpoints without it (TensorFlow 1) have variables' names as keys. See
//! TensorFlow's `tensor_bundle.proto` and `trackable_object_graph.proto`.

mod bundle;
mod object_graph;
mod slices;
mod table;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use bundle::{Bundle, Entry, shard_ending};
use object_graph::{Found, Variable};

use crate::input::Input;
use crate::naming::natural_order;
use crate::protobuf::Malformed;
use crate::{
    Checkpoint, Error, Format, Result, SavedLayer, SavedOptimizer, SavedWeight, TensorData,
};

pub(crate) use table::{FOOTER, MAGIC};

/// The text file in which TensorFlow keeps the name of the newest checkpoint of a folder.
const NEWEST: &str = "checkpoint";

/// The end of most keys.
const ATTRIBUTE: &str = "/.ATTRIBUTES/VARIABLE_VALUE";

/// The entry of the metadata that lists what was not read: texts, such as the words of a vocabulary.
const LEFT_OUT: &str = "left_out";

/// Reads a TensorFlow 2 checkpoint: `path` is its prefix `X`, the file `X.index`, one of the shards,
/// or a folder whose file `checkpoint` names the newest one.
///
/// A layer's path is the scope of its variables' names, as in `dense` or `sequential/dense`, a
/// weight's path the key without `/.ATTRIBUTES/VARIABLE_VALUE`. Optimizers of Keras 2.10 and before
/// keep their slots with the weights; these are in [`Checkpoint::extra`]. Texts are left out and listed
/// in the metadata's entry `left_out`.
///
/// # Errors
/// [`Error::NotFound`] and [`Error::Io`], also for a shard; [`Error::Format`] if a file is truncated,
/// damaged (every checksum is compared) or of another save; [`Error::Unsupported`] for big-endian or
/// complex values; [`Error::Missing`] if a tensor that is named is absent; [`Error::Limit`] if tensors overlap.
pub fn read(path: impl AsRef<Path>) -> Result<Checkpoint> {
    let path = path.as_ref();
    let prefix = prefix(path)?;
    let index_path = with_ending(&prefix, ".index");
    let wrap = |error: std::io::Error| Error::io(&index_path, "a readable file", &error);
    let index = std::fs::read(&index_path).map_err(wrap)?;
    let open = |shard, count| Input::open(&with_ending(&prefix, &shard_ending(shard, count)));
    from_index(&index, open).map_err(|error| error.in_file(&index_path.display().to_string()))
}

/// Reads a checkpoint from anywhere: `index` are the bytes of the `.index` file, and `shard` returns
/// the bytes of the shard of the given number, which is from 0 below the given count.
///
/// # Errors
/// As [`read`], and what `shard` returns.
pub fn read_with(
    index: &[u8],
    mut shard: impl FnMut(u64, u64) -> Result<Vec<u8>>,
) -> Result<Checkpoint> {
    from_index(index, |number, count| {
        shard(number, count).map(Input::memory)
    })
}

/// Whether `path`, which is no file, or not of a format that its content tells, is one of a checkpoint.
pub(crate) fn is_checkpoint(path: &Path) -> bool {
    match path.is_dir() {
        true => path.join(NEWEST).is_file() || path.join("variables.index").is_file(),
        false => prefix(path).is_ok_and(|prefix| with_ending(&prefix, ".index").is_file()),
    }
}

/// `X` of whatever the user gave.
fn prefix(path: &Path) -> Result<PathBuf> {
    let newest = match path.is_dir() {
        true if path.join("variables.index").is_file() => return Ok(path.join("variables")),
        true => path.join(NEWEST),
        false => path.to_path_buf(),
    };
    let name = newest.file_name().unwrap_or_default().to_string_lossy();
    if name == NEWEST && newest.is_file() {
        return named_in(&newest);
    }
    let shard = name
        .rfind(".data-")
        .filter(|&at| name[at..].contains("-of-"));
    let stem = name.strip_suffix(".index").or(shard.map(|at| &name[..at]));
    Ok(match stem {
        Some(stem) => newest.with_file_name(stem),
        None => newest,
    })
}

/// The checkpoint that a file `checkpoint` names, in its line `model_checkpoint_path: "X"`.
fn named_in(newest: &Path) -> Result<PathBuf> {
    let text = std::fs::read_to_string(newest)
        .map_err(|error| Error::io(newest, "a readable file", &error))?;
    let name = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("model_checkpoint_path:"))
        .and_then(|name| name.trim().strip_prefix('"')?.strip_suffix('"'));
    // The folder may have been moved since an absolute path was written.
    let name = name.and_then(|name| name.rsplit(['/', '\\']).next());
    match name {
        Some(name) if !name.is_empty() => Ok(newest.with_file_name(name)),
        _ => Err(Error::format(
            newest.display().to_string(),
            "a line model_checkpoint_path: \"…\"",
            "none",
        )
        .help("give the checkpoint's prefix or its .index file")),
    }
}

fn with_ending(prefix: &Path, ending: &str) -> PathBuf {
    let mut path = prefix.as_os_str().to_os_string();
    path.push(ending);
    path.into()
}

pub(crate) fn from_index(
    index: &[u8],
    open: impl FnMut(u64, u64) -> Result<Input>,
) -> Result<Checkpoint> {
    let mut bundle = Bundle::open(index, open)?;
    let entries = std::mem::take(&mut bundle.entries);
    let by_key: HashMap<&str, &Entry> = entries
        .iter()
        .map(|entry| (entry.key.as_str(), entry))
        .collect();
    let graph = match by_key.get(object_graph::KEY) {
        Some(entry) => bundle.text(entry)?,
        None => Vec::new(),
    };
    let found = match graph.is_empty() {
        true => by_names(&entries),
        false => object_graph::read(&graph).map_err(|Malformed| {
            Error::format(object_graph::KEY, "a TrackableObjectGraph", "other bytes")
        })?,
    };
    let mut assembly = Assembly {
        bundle,
        by_key,
        read: HashSet::from([object_graph::KEY]),
        left_out: Vec::new(),
        checkpoint: Checkpoint::new(Format::TensorFlowCheckpoint),
        layers: HashMap::new(),
        names: HashSet::new(),
    };
    for variable in &found.weights {
        assembly.weight(variable)?;
    }
    assembly.optimizer(&found.optimizer)?;
    for variable in &found.others {
        assembly.extra(variable)?;
    }
    // What the graph does not mention: slots of older optimizers.
    for entry in &entries {
        if !entry.key.starts_with("_all_variables/") {
            assembly.extra(&Variable {
                key: &entry.key,
                full_name: "",
            })?;
        }
    }
    let mut checkpoint = assembly.checkpoint;
    if !assembly.left_out.is_empty() {
        let names = assembly.left_out.join(", ");
        let entries = &mut checkpoint.metadata.entries;
        entries.insert(LEFT_OUT.to_string(), names);
    }
    Ok(checkpoint)
}

/// Without a graph the keys are the variables' names, and slots are named after their variables.
fn by_names(entries: &[Entry]) -> Found<'_> {
    let names: HashSet<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
    let mut found = Found::default();
    for entry in entries {
        let variable = Variable {
            key: &entry.key,
            full_name: &entry.key,
        };
        let of = entry.key.rsplit_once('/').map(|(of, _)| of);
        match of.is_some_and(|of| names.contains(of)) {
            true => found.others.push(variable),
            false => found.weights.push(variable),
        }
    }
    found.weights.sort_by(|a, b| natural_order(a.key, b.key));
    found
}

/// Sorts variables into a checkpoint, reading each key once.
struct Assembly<'a> {
    bundle: Bundle<'a>,
    by_key: HashMap<&'a str, &'a Entry>,
    read: HashSet<&'a str>,
    left_out: Vec<String>,
    checkpoint: Checkpoint,
    /// Where in the checkpoint the layer of a path is.
    layers: HashMap<String, usize>,
    /// The weights' names so far.
    names: HashSet<String>,
}

impl Assembly<'_> {
    /// The tensor of a key that was not read yet.
    fn tensor(&mut self, variable: &Variable<'_>) -> Result<Option<TensorData>> {
        let Some(&entry) = self.by_key.get(variable.key) else {
            let error = Error::missing(
                variable.key,
                "the tensor that the graph of objects names",
                "none",
            );
            return Err(error.help("the .index file is of another save, or damaged"));
        };
        if !self.read.insert(&entry.key) {
            return Ok(None);
        }
        if entry.is_text() {
            self.left_out
                .push(without_attribute(&entry.key).to_string());
            return Ok(None);
        }
        self.bundle.tensor(entry).map(Some)
    }

    fn weight(&mut self, variable: &Variable<'_>) -> Result<()> {
        let key = without_attribute(variable.key);
        // Plain `tf.Variable`s are all called `Variable`; their place among the objects tells more.
        let name = match variable.full_name.contains('/') {
            true => variable.full_name,
            false => key,
        };
        let Some((scope, own)) = name.rsplit_once('/') else {
            return self.extra(variable);
        };
        if own == "seed_generator_state" {
            return self.extra(variable);
        }
        let Some(tensor) = self.tensor(variable)? else {
            return Ok(());
        };
        // Keras 2 leaves a nested model's name out, so that two weights may have the same one.
        let path = match self.names.insert(name.to_string()) {
            true => scope,
            false => key.rsplit_once('/').map_or(key, |(owner, _)| owner),
        };
        let at = match self.layers.get(path) {
            Some(&at) => at,
            None => {
                let own = scope.rsplit('/').next().unwrap_or(scope);
                let layers = &mut self.checkpoint.layers;
                layers.push(SavedLayer::new(path, own));
                self.layers.insert(path.to_string(), layers.len() - 1);
                layers.len() - 1
            }
        };
        self.checkpoint.layers[at].weights.push(SavedWeight {
            path: key.to_string(),
            name: Some(name.to_string()),
            tensor,
        });
        Ok(())
    }

    fn optimizer(&mut self, variables: &[Variable<'_>]) -> Result<()> {
        let mut saved = SavedOptimizer::default();
        for variable in variables {
            if let Some(tensor) = self.tensor(variable)? {
                saved.variables.push(saved_weight(variable, tensor));
            }
        }
        // `adam/iteration`; Keras 2 has no scope there.
        saved.name = saved
            .variables
            .first()
            .and_then(SavedWeight::scope)
            .filter(|scope| !scope.is_empty())
            .map(str::to_string);
        if !saved.variables.is_empty() {
            self.checkpoint.optimizer = Some(saved);
        }
        Ok(())
    }

    fn extra(&mut self, variable: &Variable<'_>) -> Result<()> {
        if let Some(tensor) = self.tensor(variable)? {
            let weight = saved_weight(variable, tensor);
            self.checkpoint.extra.push(weight);
        }
        Ok(())
    }
}

fn saved_weight(variable: &Variable<'_>, tensor: TensorData) -> SavedWeight {
    let path = without_attribute(variable.key);
    let name = match variable.full_name {
        "" => path,
        name => name,
    };
    SavedWeight {
        path: path.to_string(),
        name: Some(name.to_string()),
        tensor,
    }
}

fn without_attribute(key: &str) -> &str {
    key.strip_suffix(ATTRIBUTE).unwrap_or(key)
}
