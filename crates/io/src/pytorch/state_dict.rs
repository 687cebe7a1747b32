//! From the object of a file to a checkpoint: nested dicts become names joined by dots.

use std::collections::{HashMap, HashSet};

use super::most_memory;
use super::tensor::TensorView;
use super::value::{DeclaredStorage, Heap, Object, Value};
use crate::input::Input;
use crate::{Checkpoint, Error, Format, Result, SavedLayer, SavedWeight, TensorData};

/// The keys under which programs put a state dict beside other things.
const WRAPPERS: [&str; 17] = [
    "state_dict",
    "model_state_dict",
    "model_state",
    "model_dict",
    "model_weights",
    "model",
    "module",
    "net_state_dict",
    "net",
    "network_state_dict",
    "network",
    "params",
    "weights",
    "state",
    "checkpoint",
    "ckpt",
    "pretrained",
];

/// The same for weights averaged over training, which are the model where there is no other.
const AVERAGES: [&str; 9] = [
    "model_ema",
    "ema",
    "ema_model",
    "state_dict_ema",
    "ema_state_dict",
    "model_ema_state_dict",
    "model_state_dict_ema",
    "params_ema",
    "averaged_model",
];

/// A file of a wrapped state dict has fewer keys beside it.
const MOST_KEYS: usize = 64;

/// State dicts in state dicts that are looked into for wrappers.
const MOST_WRAPPERS: usize = 4;

/// What a tensor is called if the file holds nothing else.
const ONLY_TENSOR: &str = "tensor";

const HELP: &str = "nothing of a pickle is run; save the model's state_dict() with torch.save";

/// What a name takes besides its text.
const NAME: usize = 200;

/// A tensor of the file.
struct Found {
    path: String,
    tensor: Value,
    keys: Keys,
    of_optimizer: bool,
}

/// How much of a path its first keys are that have further ones behind them, each with its dot.
#[derive(Clone, Copy, Default)]
struct Keys {
    ends: [usize; MOST_WRAPPERS],
    count: usize,
}

impl Keys {
    fn with(mut self, end: usize) -> Self {
        if let Some(next) = self.ends.get_mut(self.count) {
            *next = end;
            self.count += 1;
        }
        self
    }

    fn get(&self, number: usize) -> Option<usize> {
        self.ends[..self.count].get(number).copied()
    }
}

/// A container that is being walked through.
struct Open {
    container: u32,
    next: usize,
    /// The path of the content, with the dot.
    prefix: String,
    keys: Keys,
    of_optimizer: bool,
    /// Whether a key on the way is neither a text nor a number.
    unnamed: bool,
}

/// The checkpoint of `root`, for a file of `length` bytes whose storages `open` opens.
pub(super) fn assemble(
    heap: &mut Heap,
    root: Value,
    length: u64,
    mut open: impl FnMut(&DeclaredStorage) -> Result<Input>,
) -> Result<Checkpoint> {
    let mut checkpoint = Checkpoint::new(Format::PyTorch);
    let found = walk(heap, root, &mut checkpoint)?;
    let wrapper = wrapper(&found).to_string();
    let mut reader = TensorReader {
        opened: HashMap::new(),
        read: HashMap::new(),
        most: most_memory(length),
        left: most_memory(length),
    };
    let mut names = HashSet::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for Found {
        path,
        tensor,
        of_optimizer,
        ..
    } in found
    {
        let Some(Object::Tensor(view)) = heap.object(tensor) else {
            continue;
        };
        let tensor = reader
            .read(view, heap.storages(), &mut open)
            .map_err(|error| error.in_file(&path))?;
        if !names.insert(path.clone()) {
            let expected = "a name of its own for every tensor";
            return Err(Error::format(path, expected, "one used twice"));
        }
        // What stands beside a wrapped state dict is left aside.
        if of_optimizer || !path.starts_with(&wrapper) {
            let name = Some(path.clone());
            checkpoint.extra.push(SavedWeight { path, name, tensor });
            continue;
        }
        let (layer, name) = path[wrapper.len()..]
            .rsplit_once('.')
            .unwrap_or(("", &path[wrapper.len()..]));
        let place = *places.entry(layer.to_string()).or_insert_with(|| {
            let mut saved = SavedLayer::new(layer, "");
            saved.name = None;
            checkpoint.layers.push(saved);
            checkpoint.layers.len() - 1
        });
        let name = Some(name.to_string());
        checkpoint.layers[place]
            .weights
            .push(SavedWeight { path, name, tensor });
    }
    Ok(checkpoint)
}

/// All tensors below `root` in the file's order; numbers and texts go to the checkpoint's entries.
fn walk(heap: &mut Heap, root: Value, checkpoint: &mut Checkpoint) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    let mut path = Vec::new();
    // The first object that is set aside.
    let mut aside = None;
    // The containers of the path, to notice a cycle.
    let mut within = HashSet::new();
    match (root, heap.object(root)) {
        (_, Some(Object::Tensor(_))) => found.push(Found {
            path: ONLY_TENSOR.to_string(),
            tensor: root,
            keys: Keys::default(),
            of_optimizer: false,
        }),
        (Value::Object(container), Some(Object::Dict(_) | Object::Sequence(_))) => {
            within.insert(container);
            path.push(Open {
                container,
                next: 0,
                prefix: String::new(),
                keys: Keys::default(),
                of_optimizer: false,
                unnamed: false,
            });
        }
        _ => {
            let received = heap.name(root);
            return Err(Error::unsupported("", "a dict of tensors", received).help(HELP));
        }
    }
    while let Some(open) = path.last_mut() {
        let container = Value::Object(open.container);
        let item = match heap.object(container) {
            Some(Object::Dict(items)) => items.get(open.next).copied(),
            Some(Object::Sequence(items)) => items
                .get(open.next)
                .map(|&item| (Value::Int(open.next as i64), item)),
            _ => None,
        };
        let Some((key, value)) = item else {
            within.remove(&open.container);
            path.pop();
            continue;
        };
        open.next += 1;
        let in_dict = heap.dict(container).is_some();
        let prefix = open.prefix.len();
        heap.charge(prefix + size_of::<Value>())?;
        let key = match key {
            Value::Int(key) => Some(key.to_string()),
            key => heap.text(key).map(str::to_string),
        };
        let name = match &key {
            Some(key) => format!("{}{key}", open.prefix),
            None => format!("{}?", open.prefix),
        };
        let keys = open.keys;
        let of_optimizer = open.of_optimizer;
        let unnamed = open.unnamed || key.is_none();
        let content = match value {
            Value::Object(number) => heap.object(value).map(|object| (number, object)),
            _ => None,
        };
        if unnamed && matches!(content, Some((_, Object::Tensor(_)))) {
            let expected = "names that are texts or whole numbers";
            return Err(Error::unsupported(name, expected, "another key"));
        }
        match content {
            Some((_, Object::Tensor(_))) => {
                heap.charge(2 * name.len() + NAME)?;
                found.push(Found {
                    path: name,
                    tensor: value,
                    keys,
                    of_optimizer,
                });
            }
            Some((number, Object::Dict(_) | Object::Sequence(_))) => {
                if !within.insert(number) {
                    let expected = "values nested in each other";
                    return Err(Error::format(name, expected, "one that contains itself"));
                }
                let of_optimizer = of_optimizer || is_optimizer(heap, value);
                heap.charge(name.len() + size_of::<Open>() + NAME)?;
                path.push(Open {
                    container: number,
                    next: 0,
                    keys: keys.with(name.len() + 1),
                    prefix: format!("{name}."),
                    of_optimizer,
                    unnamed,
                });
            }
            Some((_, Object::Class(_) | Object::Foreign(_))) => {
                if aside.is_none() {
                    aside = Some((name, value));
                }
            }
            // Lists of numbers would be a flood of entries.
            _ if !in_dict || key.is_none() => {}
            _ => {
                if let Some(text) = entry(heap, value) {
                    heap.charge(name.len() + text.len() + NAME)?;
                    checkpoint.metadata.entries.insert(name, text);
                }
            }
        }
    }
    match aside {
        // A whole model in the place of its state dict.
        Some((name, object)) if found.is_empty() => {
            let received = heap.name(object);
            Err(Error::unsupported(name, "tensors", received).help(HELP))
        }
        _ => Ok(found),
    }
}

/// A number or text as an entry of the metadata.
fn entry(heap: &Heap, value: Value) -> Option<String> {
    match value {
        Value::Bool(value) => Some(value.to_string()),
        Value::Int(value) => Some(value.to_string()),
        Value::Float(value) => Some(value.to_string()),
        value => heap.text(value).map(str::to_string),
    }
}

/// Whether a value is what `optimizer.state_dict()` gives.
fn is_optimizer(heap: &Heap, value: Value) -> bool {
    let keys = |name: &str| {
        let items = heap.dict(value).filter(|items| items.len() <= 4);
        items.is_some_and(|items| items.iter().any(|&(key, _)| heap.text(key) == Some(name)))
    };
    keys("state") && keys("param_groups")
}

/// The wrapper around the model's state dict, with its dots; empty if there is none, or if several state dicts
/// could be meant.
fn wrapper(found: &[Found]) -> &str {
    let mut wrapper = "";
    for depth in 0..MOST_WRAPPERS {
        let within = found
            .iter()
            .filter(|found| !found.of_optimizer && found.path.starts_with(wrapper));
        // The keys of containers here, and whether what is in them could be a model.
        let mut keys: Vec<(&str, bool)> = Vec::new();
        for found in within {
            let Some(end) = found.keys.get(depth) else {
                continue;
            };
            let key = &found.path[wrapper.len()..end - 1];
            let has_weights = found.path.ends_with("weight");
            match keys.iter().position(|(known, _)| *known == key) {
                Some(place) => keys[place].1 |= has_weights,
                // More would take time, and are no wrappers.
                None if keys.len() >= MOST_KEYS => return wrapper,
                None => keys.push((key, has_weights)),
            }
        }
        let of = |names: &[&str]| {
            let known = keys.iter().filter(|(key, _)| names.contains(key));
            known.map(|(key, _)| *key).collect::<Vec<&str>>()
        };
        let (models, averages) = (of(&WRAPPERS), of(&AVERAGES));
        let chosen = match (models.as_slice(), averages.as_slice()) {
            ([model], _) => model,
            ([], [average]) => average,
            _ => return wrapper,
        };
        // Another model beside it: nothing says which one is meant.
        let beside = keys
            .iter()
            .any(|(key, has_weights)| *has_weights && key != chosen && !AVERAGES.contains(key));
        let Some(first) = found
            .iter()
            .find(|found| {
                let end = found.keys.get(depth);
                !found.of_optimizer
                    && end.is_some_and(|end| {
                        found.path[..end]
                            .strip_prefix(wrapper)
                            .is_some_and(|key| key.strip_suffix('.') == Some(chosen))
                    })
            })
            .filter(|_| !beside)
        else {
            return wrapper;
        };
        let end = first.keys.get(depth).unwrap_or(0);
        wrapper = &first.path[..end];
    }
    wrapper
}

/// Reads tensors; equal views of a storage share their values.
struct TensorReader {
    opened: HashMap<u32, Input>,
    read: HashMap<TensorView, TensorData>,
    /// The bytes that all tensors may take, and those that are left.
    most: u64,
    left: u64,
}

impl TensorReader {
    fn read(
        &mut self,
        view: &TensorView,
        storages: &[DeclaredStorage],
        open: &mut impl FnMut(&DeclaredStorage) -> Result<Input>,
    ) -> Result<TensorData> {
        if let Some(tensor) = self.read.get(view) {
            return Ok(tensor.clone());
        }
        let length = view.checked_length()?;
        self.left = self.left.checked_sub(length).ok_or_else(|| {
            let expected = format!("tensors of {} bytes in all at most", self.most);
            Error::limit("", expected, "more")
        })?;
        let number = view.storage.number;
        let storage = match self.opened.get(&number) {
            Some(storage) => storage.clone(),
            None => {
                let storage = open(&storages[number as usize])?;
                self.opened.insert(number, storage.clone());
                storage
            }
        };
        let tensor = view.read(&storage)?;
        self.read.insert(view.clone(), tensor.clone());
        Ok(tensor)
    }
}
