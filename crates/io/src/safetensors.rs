//! `.safetensors`: named tensors and a few strings.
//!
//! A tensor's name is split at its last `/` (or, without one, its last `.`) into layer and weight.
//! Tensors whose names begin with `optimizer/` are the optimizer's. The model's configs are kept as
//! JSON in the header.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::input::Input;
use crate::{
    Checkpoint, DataType, Error, Format, Result, SavedLayer, SavedOptimizer, SavedWeight,
    TensorData, atomic,
};

/// Headers longer than this are refused, as by the reference implementation.
const LONGEST_HEADER: u64 = 100_000_000;

/// The header's key of texts.
const METADATA: &str = "__metadata__";

/// What the header says of a tensor.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct TensorInfo {
    dtype: String,
    shape: Vec<usize>,
    /// The first byte behind the header and the one behind the last.
    data_offsets: [usize; 2],
}

const OPTIMIZER: &str = "optimizer/";
/// Header entries that have fields of their own.
const CONFIG: &str = "config";
const COMPILE_CONFIG: &str = "compile_config";
const KERAS_VERSION: &str = "keras_version";
const BACKEND: &str = "backend";
const DATE_SAVED: &str = "date_saved";
const OPTIMIZER_NAME: &str = "optimizer_name";

/// Reads a `.safetensors` file.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Io`]; [`Error::Format`] if the header does not fit the file;
/// [`Error::Unsupported`] for element types that weights never have.
pub fn read(path: impl AsRef<Path>) -> Result<Checkpoint> {
    let path = path.as_ref();
    from_input(&Input::open(path)?).map_err(|error| error.in_file(&path.display().to_string()))
}

/// Reads the bytes of a `.safetensors` file. A `Vec` is taken over, a slice is copied.
///
/// # Errors
/// As [`read`].
pub fn read_bytes(bytes: impl Into<Vec<u8>>) -> Result<Checkpoint> {
    from_input(&Input::memory(bytes.into()))
}

/// Writes a `.safetensors` file. Either all of it is written or what was there stays.
///
/// A weight that was read from a safetensors file keeps its name; others are named after their
/// layer's [`name_path`](Checkpoint::name_path) and their own
/// [`variable`](SavedWeight::variable) or number, as in `base/conv1/kernel`. Layers without weights
/// have no place in the format.
///
/// # Errors
/// [`Error::Io`] or [`Error::NotFound`] if the file cannot be written; [`Error::Format`] if two
/// tensors would have the same name.
pub fn write(path: impl AsRef<Path>, checkpoint: &Checkpoint) -> Result<()> {
    atomic::write(path.as_ref(), |out| write_to(out, checkpoint))
}

/// The bytes of a `.safetensors` file.
///
/// # Errors
/// As [`write()`], but for the file system's.
pub fn to_bytes(checkpoint: &Checkpoint) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    write_to(&mut bytes, checkpoint)?;
    Ok(bytes)
}

fn write_to(mut out: impl Write, checkpoint: &Checkpoint) -> Result<()> {
    let tensors = named_tensors(checkpoint)?;
    let mut header = Map::new();
    let entries = header_entries(checkpoint);
    if !entries.is_empty() {
        let entries = entries.into_iter().map(|(key, text)| (key, text.into()));
        header.insert(METADATA.to_string(), Value::Object(entries.collect()));
    }
    let mut end = 0;
    for (name, tensor) in &tensors {
        let start = end;
        end += tensor.bytes().len();
        let info = TensorInfo {
            dtype: dtype(tensor.data_type()).to_string(),
            shape: tensor.shape().to_vec(),
            data_offsets: [start, end],
        };
        let json = |error| Error::format("header", "what JSON can hold", error);
        let info = serde_json::to_value(info).map_err(json)?;
        header.insert(name.clone(), info);
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    // The tensors begin at a multiple of 8, so that readers can map them.
    header.resize(header.len().next_multiple_of(8), b' ');

    let mut put = |bytes: &[u8]| {
        out.write_all(bytes)
            .map_err(|error| Error::io(Path::new(""), "room to write", &error))
    };
    put(&(header.len() as u64).to_le_bytes())?;
    put(&header)?;
    tensors
        .iter()
        .try_for_each(|(_, tensor)| put(tensor.bytes()))
}

/// Every tensor with its name, ordered as the format asks for: wide elements first, so that all are
/// aligned, and in the checkpoint's order among equals.
fn named_tensors(checkpoint: &Checkpoint) -> Result<Vec<(String, &TensorData)>> {
    let keep = checkpoint.format == Format::Safetensors;
    let kept =
        |weight: &SavedWeight| (keep && !weight.path.is_empty()).then(|| weight.path.clone());
    let layers = checkpoint.name_paths();
    let mut tensors = Vec::new();
    for layer in &checkpoint.layers {
        for (i, weight) in layer.weights.iter().enumerate() {
            let variable = weight.variable().map_or(i.to_string(), str::to_string);
            let name = kept(weight).unwrap_or_else(|| match layers[layer.path.as_str()].as_str() {
                "" => variable,
                layer => format!("{layer}/{variable}"),
            });
            tensors.push((name, &weight.tensor));
        }
    }
    for (i, weight) in checkpoint
        .optimizer
        .iter()
        .flat_map(|saved| saved.variables.iter().enumerate())
    {
        let name = kept(weight).unwrap_or_else(|| match &weight.name {
            Some(name) => format!("{OPTIMIZER}{name}"),
            None => format!("{OPTIMIZER}{i}"),
        });
        tensors.push((name, &weight.tensor));
    }
    for weight in &checkpoint.extra {
        tensors.push((weight.path.clone(), &weight.tensor));
    }
    let mut names = std::collections::HashSet::from([METADATA]);
    if let Some((twice, _)) = tensors
        .iter()
        .find(|(name, _)| !names.insert(name.as_str()))
    {
        return Err(Error::format(
            twice,
            "a name of its own for every tensor",
            "one used twice",
        )
        .help("give the layers and their weights distinct names"));
    }
    tensors.sort_by_key(|(_, tensor)| std::cmp::Reverse(tensor.data_type().size()));
    Ok(tensors)
}

fn header_entries(checkpoint: &Checkpoint) -> BTreeMap<String, String> {
    let metadata = &checkpoint.metadata;
    let json = |value: &Option<Value>| value.as_ref().map(Value::to_string);
    let own = [
        (CONFIG, json(&checkpoint.config)),
        (COMPILE_CONFIG, json(&checkpoint.compile_config)),
        (KERAS_VERSION, metadata.keras_version.clone()),
        (BACKEND, metadata.backend.clone()),
        (DATE_SAVED, metadata.date_saved.clone()),
        (
            OPTIMIZER_NAME,
            checkpoint
                .optimizer
                .as_ref()
                .and_then(|saved| saved.name.clone()),
        ),
    ];
    let own = own
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_string(), value?)));
    metadata.entries.clone().into_iter().chain(own).collect()
}

pub(crate) fn from_input(input: &Input) -> Result<Checkpoint> {
    let corrupt = |error: &dyn std::fmt::Display| {
        Error::format("header", "a sound safetensors header", error)
            .help("the file is truncated or corrupt; copy or download it again")
    };
    let mut length = [0; 8];
    input
        .read_at(0, &mut length)
        .map_err(|error| corrupt(&error))?;
    let length = u64::from_le_bytes(length);
    let data = length.checked_add(8).and_then(|start| {
        let rest = input.length().checked_sub(start)?;
        input.section(start, rest)
    });
    let Some(data) = data.filter(|_| length <= LONGEST_HEADER) else {
        let received = format!("a header of {length} bytes in {} bytes", input.length());
        return Err(corrupt(&received));
    };
    let mut header = vec![0; length as usize];
    input
        .read_at(8, &mut header)
        .map_err(|error| corrupt(&error))?;
    let mut header: Map<String, Value> =
        serde_json::from_slice(&header).map_err(|error| corrupt(&error))?;
    let entries: HashMap<String, String> = match header.shift_remove(METADATA) {
        Some(entries) => serde_json::from_value(entries).map_err(|error| corrupt(&error))?,
        None => HashMap::new(),
    };
    let mut tensors = Vec::with_capacity(header.len());
    for (path, info) in header {
        let info: TensorInfo = serde_json::from_value(info)
            .map_err(|error| corrupt(&format!("{}: {error}", path.escape_debug())))?;
        let data_type = data_type(&info.dtype, &path)?;
        tensors.push((path, data_type, info));
    }
    // The tensors follow each other without gaps and are as long as their shapes say.
    tensors.sort_by_key(|(_, _, info)| info.data_offsets);
    let mut position = 0;
    for (path, data_type, info) in &tensors {
        let [start, end] = info.data_offsets;
        let sizes = info.shape.iter();
        let length = sizes
            .copied()
            .try_fold(data_type.size(), usize::checked_mul);
        if start != position || end.checked_sub(start).is_none_or(|it| Some(it) != length) {
            let path = path.escape_debug();
            return Err(corrupt(&format!("{path}: bytes {start} to {end}")));
        }
        position = end;
    }
    if position as u64 != data.length() {
        let received = format!("{} bytes of {position}", data.length());
        return Err(corrupt(&received));
    }

    let mut checkpoint = Checkpoint::new(Format::Safetensors);
    let mut optimizer = SavedOptimizer::default();
    let mut places: HashMap<String, usize> = HashMap::new();
    for (path, data_type, info) in tensors {
        let tensor = TensorData::read_with(data_type, info.shape, |buffer| {
            data.read_at(info.data_offsets[0] as u64, buffer)
                .map_err(|error| Error::format(&path, "readable values", error))
        })?;
        let (layer, name) = split_name(&path);
        if let Some(name) = path.strip_prefix(OPTIMIZER) {
            let name = (!name.bytes().all(|byte| byte.is_ascii_digit())).then(|| name.to_string());
            optimizer.variables.push(SavedWeight { path, name, tensor });
            continue;
        }
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
    read_entries(&mut checkpoint, &mut optimizer, entries)?;
    if !optimizer.variables.is_empty() || optimizer.name.is_some() {
        checkpoint.optimizer = Some(optimizer);
    }
    Ok(checkpoint)
}

fn read_entries(
    checkpoint: &mut Checkpoint,
    optimizer: &mut SavedOptimizer,
    entries: HashMap<String, String>,
) -> Result<()> {
    for (key, value) in entries {
        match key.as_str() {
            CONFIG | COMPILE_CONFIG => {
                // Others may use the key for text of another kind; that is kept as it is.
                match serde_json::from_str(&value) {
                    Ok(json) if key == CONFIG => checkpoint.config = Some(json),
                    Ok(json) => checkpoint.compile_config = Some(json),
                    Err(_) => {
                        checkpoint.metadata.entries.insert(key, value);
                    }
                }
            }
            KERAS_VERSION => checkpoint.metadata.keras_version = Some(value),
            BACKEND => checkpoint.metadata.backend = Some(value),
            DATE_SAVED => checkpoint.metadata.date_saved = Some(value),
            OPTIMIZER_NAME => optimizer.name = Some(value),
            _ => {
                checkpoint.metadata.entries.insert(key, value);
            }
        }
    }
    Ok(())
}

fn split_name(name: &str) -> (&str, &str) {
    name.rsplit_once('/')
        .or_else(|| name.rsplit_once('.'))
        .unwrap_or(("", name))
}

/// The element type that the format calls `name`.
fn data_type(name: &str, path: &str) -> Result<DataType> {
    let found = DataType::ALL
        .into_iter()
        .find(|&known| dtype(known) == name);
    found.ok_or_else(|| {
        let expected = "floats of 16 bits or more, integers or bool";
        Error::unsupported(path, expected, name)
    })
}

/// What the format calls an element type.
fn dtype(data_type: DataType) -> &'static str {
    match data_type {
        DataType::F16 => "F16",
        DataType::BF16 => "BF16",
        DataType::F32 => "F32",
        DataType::F64 => "F64",
        DataType::I8 => "I8",
        DataType::I16 => "I16",
        DataType::I32 => "I32",
        DataType::I64 => "I64",
        DataType::U8 => "U8",
        DataType::U16 => "U16",
        DataType::U32 => "U32",
        DataType::U64 => "U64",
        DataType::Bool => "BOOL",
    }
}
