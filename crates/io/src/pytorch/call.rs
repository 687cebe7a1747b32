//! What a pickle's calls give: tensors and containers. Each function of the allow-list is carried out
//! here, after its description in PyTorch's own pickles; none is called.

use super::global::Global;
use super::tensor::{MOST_AXES, StorageView, TensorView};
use super::value::{Heap, Object, Value};
use crate::{DataType, Error, Result};

/// What `function` gives for `arguments`, a tuple.
pub(super) fn call(heap: &mut Heap, function: Value, arguments: Value) -> Result<Value> {
    if let (Value::Object(class), Some(Object::Class(_))) = (function, heap.object(function)) {
        return heap.add(Object::Foreign(class));
    }
    // An object that stands for a function, such as a method.
    if matches!(heap.object(function), Some(Object::Foreign(_))) {
        return Ok(Value::Aside);
    }
    let Value::Global(function) = function else {
        let received = heap.name(function);
        return Err(Error::format("", "a class or function to call", received));
    };
    match function {
        Global::Dict => new_dict(heap, item(heap, arguments, 0)),
        Global::DefaultDict => new_dict(heap, item(heap, arguments, 1)),
        Global::Sequence => new_sequence(heap, item(heap, arguments, 0)),
        Global::Scalar => match item(heap, arguments, 0) {
            Some(value @ (Value::Bool(_) | Value::Int(_) | Value::Float(_))) => Ok(value),
            Some(value) if heap.text(value).is_some() => Ok(value),
            _ => Ok(Value::Aside),
        },
        Global::Aside => Ok(Value::Aside),
        Global::RebuildTensor => tensor(heap, arguments, None),
        Global::RebuildTensorOfType => match item(heap, arguments, 6) {
            Some(Value::Global(Global::DataType(data_type))) => {
                tensor(heap, arguments, Some(data_type))
            }
            other => Err(wrong(heap, "an element type", other)),
        },
        Global::RebuildParameter => match item(heap, arguments, 0) {
            Some(value) if matches!(heap.object(value), Some(Object::Tensor(_))) => Ok(value),
            other => Err(wrong(heap, "a parameter's tensor", other)),
        },
        Global::RebuildFromType => from_type(heap, arguments),
        Global::Storage(_) | Global::DataType(_) | Global::TensorClass => Err(Error::format(
            "",
            "a function that makes a tensor",
            format!("a call of {}", heap.name(Value::Global(function))),
        )),
    }
}

/// The storage that `identity`, a persistent identifier, names: `("storage", class, key, device,
/// elements)`, and in old files a window of it, `(key, first element, elements)`, or `None`.
pub(super) fn storage(heap: &mut Heap, identity: Value) -> Result<Value> {
    let part = |index| item(heap, identity, index);
    match part(0).and_then(|kind| heap.text(kind)) {
        Some("storage") => {}
        _ => {
            let received = part(0).map_or("nothing".to_string(), |kind| heap.name(kind));
            return Err(Error::unsupported("", "a storage of a tensor", received));
        }
    }
    let data_type = match part(1) {
        Some(Value::Global(Global::Storage(data_type))) => data_type,
        other => return Err(wrong(heap, "a class of storages", other)),
    };
    let key = match part(2).map(|key| (key, heap.text(key))) {
        Some((_, Some(key))) => key.to_string(),
        // The oldest files number their storages.
        Some((Value::Int(key), _)) => key.to_string(),
        other => {
            return Err(wrong(
                heap,
                "the key of a storage",
                other.map(|(key, _)| key),
            ));
        }
    };
    let element = data_type.map_or(1, DataType::size) as u64;
    let length = bytes(heap, part(4), element)?;
    let (start, viewed) = match part(5) {
        None | Some(Value::None) => (0, length),
        Some(window) => (
            bytes(heap, item(heap, window, 1), element)?,
            bytes(heap, item(heap, window, 2), element)?,
        ),
    };
    if start.checked_add(viewed).is_none_or(|end| end > length) {
        return Err(Error::format(
            format!("storage {}", key.escape_debug()),
            format!("a view within {length} bytes"),
            format!("{viewed} bytes from {start} on"),
        ));
    }
    let number = heap.declare(&key, length, element)?;
    heap.add(Object::Storage(StorageView {
        number,
        data_type,
        start,
        length: viewed,
    }))
}

/// The tensor of `(storage, offset, shape, strides, …)`.
fn tensor(heap: &mut Heap, arguments: Value, data_type: Option<DataType>) -> Result<Value> {
    let argument = |index| item(heap, arguments, index);
    let storage = match argument(0).map(|value| heap.object(value)) {
        Some(Some(Object::Storage(storage))) => *storage,
        _ => return Err(wrong(heap, "a storage", argument(0))),
    };
    let Some(data_type) = data_type.or(storage.data_type) else {
        return Err(Error::format("", "an element type", "untyped bytes"));
    };
    let offset = size(heap, argument(1))?;
    let shape = sizes(heap, argument(2))?;
    let strides = sizes(heap, argument(3))?;
    if shape.len() != strides.len() {
        return Err(Error::format(
            "",
            format!("a stride for each of {} axes", shape.len()),
            format!("{} strides", strides.len()),
        ));
    }
    // The last argument, if it is a dict with content, says that values are to be negated or conjugated.
    let last = if data_type_argument(heap, arguments) {
        7
    } else {
        6
    };
    if let Some(metadata) = argument(last)
        && heap.dict(metadata).is_some_and(|items| !items.is_empty())
    {
        let received = "a lazily negated or conjugated one";
        return Err(Error::unsupported("", "a plain tensor", received)
            .help("save its resolve_neg() or resolve_conj()"));
    }
    heap.add(Object::Tensor(TensorView {
        storage,
        data_type,
        offset,
        shape,
        strides,
    }))
}

fn data_type_argument(heap: &Heap, arguments: Value) -> bool {
    matches!(
        item(heap, arguments, 6),
        Some(Value::Global(Global::DataType(_)))
    )
}

/// A tensor with attributes: `(function, class, arguments, attributes)`.
fn from_type(heap: &mut Heap, arguments: Value) -> Result<Value> {
    let class = item(heap, arguments, 1);
    if !matches!(class, Some(Value::Global(Global::TensorClass))) {
        return Err(wrong(heap, "the class of tensors", class));
    }
    match (item(heap, arguments, 0), item(heap, arguments, 2)) {
        // Not this function again: calls do not nest.
        (
            Some(
                function @ Value::Global(
                    Global::RebuildTensor | Global::RebuildTensorOfType | Global::RebuildParameter,
                ),
            ),
            Some(inner),
        ) => call(heap, function, inner),
        (function, _) => Err(wrong(heap, "a function that makes a tensor", function)),
    }
}

fn new_dict(heap: &mut Heap, content: Option<Value>) -> Result<Value> {
    let dict = heap.add(Object::Dict(Vec::new()))?;
    let Some(content) = content else {
        return Ok(dict);
    };
    let mut items = Vec::new();
    if let Some(pairs) = heap.dict(content) {
        items.extend(pairs.iter().flat_map(|&(key, value)| [key, value]));
    } else {
        // How Python 2 writes an OrderedDict: as a list of pairs.
        let Some(pairs) = heap.sequence(content) else {
            return Err(wrong(heap, "a dict or a list of pairs", Some(content)));
        };
        for &pair in pairs {
            match heap.sequence(pair) {
                Some(&[key, value]) => items.extend([key, value]),
                _ => return Err(wrong(heap, "a pair of key and value", Some(pair))),
            }
        }
    }
    heap.extend_dict(dict, &items)?;
    Ok(dict)
}

fn new_sequence(heap: &mut Heap, content: Option<Value>) -> Result<Value> {
    let items = match content {
        None => Vec::new(),
        Some(content) => match heap.sequence(content) {
            Some(items) => items.to_vec(),
            None => return Err(wrong(heap, "a list or tuple", Some(content))),
        },
    };
    heap.add(Object::Sequence(items))
}

/// An argument, if there are so many.
fn item(heap: &Heap, arguments: Value, index: usize) -> Option<Value> {
    heap.sequence(arguments)?.get(index).copied()
}

fn size(heap: &Heap, value: Option<Value>) -> Result<usize> {
    match value {
        Some(Value::Int(size)) => usize::try_from(size).ok(),
        _ => None,
    }
    .ok_or_else(|| wrong(heap, "a size", value))
}

/// What `value` elements take.
fn bytes(heap: &Heap, value: Option<Value>, element: u64) -> Result<u64> {
    let elements = size(heap, value)? as u64;
    let overflow = || Error::format("", "a size that a file can have", elements);
    elements.checked_mul(element).ok_or_else(overflow)
}

fn sizes(heap: &Heap, value: Option<Value>) -> Result<Vec<usize>> {
    let Some(items) = value.and_then(|value| heap.sequence(value)) else {
        return Err(wrong(heap, "a size for each axis", value));
    };
    if items.len() > MOST_AXES {
        let received = format!("{} axes", items.len());
        return Err(Error::limit(
            "",
            format!("at most {MOST_AXES} axes"),
            received,
        ));
    }
    items.iter().map(|&item| size(heap, Some(item))).collect()
}

fn wrong(heap: &Heap, expected: &str, received: Option<Value>) -> Error {
    let received = received.map_or("nothing".to_string(), |value| heap.name(value));
    Error::format("", expected, received)
}
