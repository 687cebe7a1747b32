//! From the object of a file to a checkpoint: nested dicts become names joined by dots.

use std::collections::{HashMap, HashSet};

use super::most_memory;
use super::tensor::TensorView;
use super::value::{DeclaredStorage, Heap, Object, Value};
use crate::input::Input;
use crate::{Checkpoint, Error, Format, Result, SavedLayer, SavedWeight, TensorData};

/// The keys under which programs put a state dict beside other things.
const WRAPPERS: [&str; 8] = [
    "state_dict",
    "model_state_dict",
    "model",
    "module",
    "net",
    "network",
    "params",
    "weights",
];

/// What a tensor is called if the file holds nothing else.
const ONLY_TENSOR: &str = "tensor";

/// What a name takes besides its text.
const NAME: usize = 200;

/// A tensor of the file.
struct Found {
    path: String,
    tensor: Value,
    /// How much of the path is the first key with its dot; 0 if there is only one key.
    first_key: usize,
    of_optimizer: bool,
}

/// A container that is being walked through.
struct Open {
    container: u32,
    next: usize,
    /// The path of the content, with the dot.
    prefix: String,
    first_key: usize,
    of_optimizer: bool,
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
    let wrapper = wrapper(&found);
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
        if of_optimizer {
            let name = Some(path.clone());
            checkpoint.extra.push(SavedWeight { path, name, tensor });
            continue;
        }
        let (layer, name) = path[wrapper..]
            .rsplit_once('.')
            .unwrap_or(("", &path[wrapper..]));
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
    // The containers of the path, to notice a cycle.
    let mut within = HashSet::new();
    match (root, heap.object(root)) {
        (_, Some(Object::Tensor(_))) => found.push(Found {
            path: ONLY_TENSOR.to_string(),
            tensor: root,
            first_key: 0,
            of_optimizer: false,
        }),
        (Value::Object(container), Some(Object::Dict(_) | Object::Sequence(_))) => {
            within.insert(container);
            path.push(Open {
                container,
                next: 0,
                prefix: String::new(),
                first_key: 0,
                of_optimizer: false,
            });
        }
        _ => {
            let received = heap.name(root);
            return Err(Error::unsupported("", "a dict of tensors", received)
                .help("save the model's state_dict() with torch.save"));
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
        let first_key = match (open.first_key, open.prefix.is_empty()) {
            (0, true) => name.len() + 1,
            (first_key, _) => first_key,
        };
        let nested = !open.prefix.is_empty();
        let of_optimizer = open.of_optimizer;
        let content = match value {
            Value::Object(number) => heap.object(value).map(|object| (number, object)),
            _ => None,
        };
        if key.is_none()
            && matches!(content, Some((_, object)) if !matches!(object, Object::Text(_)))
        {
            let expected = "names that are texts or whole numbers";
            return Err(Error::unsupported(name, expected, "another key"));
        }
        match content {
            Some((_, Object::Tensor(_))) => {
                heap.charge(2 * name.len() + NAME)?;
                found.push(Found {
                    path: name,
                    tensor: value,
                    first_key: if nested { first_key } else { 0 },
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
                    prefix: format!("{name}."),
                    first_key,
                    of_optimizer,
                });
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
    Ok(found)
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

/// How much of the tensors' paths is the wrapper around the only state dict, with its dot.
fn wrapper(found: &[Found]) -> usize {
    let mut of_model = found.iter().filter(|found| !found.of_optimizer);
    let Some(first) = of_model.next() else {
        return 0;
    };
    let wrapper = &first.path[..first.first_key];
    let known = WRAPPERS
        .iter()
        .any(|known| wrapper.strip_suffix('.') == Some(known));
    let only = of_model.all(|other| &other.path[..other.first_key] == wrapper);
    if known && only { wrapper.len() } else { 0 }
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
