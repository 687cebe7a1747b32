//! What a pickle is made of. Containers lie in one list and refer to each other by number, so that
//! nesting and cycles cost neither recursion nor leaks, and all memory is counted.

use std::collections::HashMap;

use super::global::Global;
use super::tensor::{StorageView, TensorView};
use crate::{Error, Result};

/// A value on the stack, in the memo or in a container.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Global(Global),
    /// The number of an [`Object`].
    Object(u32),
    /// Plain data that is left aside, such as bytes.
    Aside,
}

/// A value with content.
#[derive(Debug)]
pub(super) enum Object {
    Text(String),
    /// A list, a tuple or a set.
    Sequence(Vec<Value>),
    /// The items in the file's order.
    Dict(Vec<(Value, Value)>),
    Storage(StorageView),
    Tensor(TensorView),
    /// A class or function that is not known, by its full name. It is never called.
    Class(String),
    /// An object of the class with this number, which is set aside: what it is made of is not kept.
    Foreign(u32),
}

/// A storage that the pickle names; its bytes lie elsewhere in the file.
#[derive(Debug)]
pub(super) struct DeclaredStorage {
    pub(super) key: String,
    /// Its length in bytes.
    pub(super) length: u64,
    /// Bytes per element.
    pub(super) element: u64,
}

/// All objects and storages of a file.
pub(super) struct Heap {
    objects: Vec<Object>,
    storages: Vec<DeclaredStorage>,
    by_key: HashMap<String, u32>,
    /// The bytes that may be used in all, and those that are left.
    most: u64,
    left: u64,
}

impl Heap {
    pub(super) fn new(most: u64) -> Self {
        Heap {
            objects: Vec::new(),
            storages: Vec::new(),
            by_key: HashMap::new(),
            most,
            left: most,
        }
    }

    /// Counts `bytes` that are about to be used.
    ///
    /// # Errors
    /// [`Error::Limit`] if these are too many.
    pub(super) fn charge(&mut self, bytes: usize) -> Result<()> {
        match self.left.checked_sub(bytes as u64) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(Error::limit(
                "",
                format!("values that take at most {} bytes", self.most),
                "more",
            )),
        }
    }

    /// The most values that the stack may hold.
    pub(super) fn most_values(&self) -> usize {
        let most = self.most / size_of::<Value>() as u64;
        usize::try_from(most).unwrap_or(usize::MAX)
    }

    pub(super) fn add(&mut self, object: Object) -> Result<Value> {
        let content = match &object {
            Object::Text(text) => text.len(),
            Object::Sequence(items) => size_of_val(items.as_slice()),
            Object::Dict(items) => size_of_val(items.as_slice()),
            Object::Storage(_) | Object::Foreign(_) => 0,
            Object::Class(name) => name.len(),
            Object::Tensor(tensor) => 2 * size_of_val(tensor.shape.as_slice()),
        };
        self.charge(size_of::<Object>() + content)?;
        let number = self.objects.len() as u32;
        self.objects.push(object);
        Ok(Value::Object(number))
    }

    /// The storage of `key`, which is `length` bytes of elements of `element` bytes.
    pub(super) fn declare(&mut self, key: &str, length: u64, element: u64) -> Result<u32> {
        if let Some(&number) = self.by_key.get(key) {
            let known = self.storages[number as usize].length;
            return match known == length {
                true => Ok(number),
                false => Err(Error::format(
                    format!("storage {}", key.escape_debug()),
                    format!("{known} bytes, as before"),
                    format!("{length} bytes"),
                )),
            };
        }
        self.charge(2 * key.len() + 2 * size_of::<DeclaredStorage>())?;
        let number = self.storages.len() as u32;
        self.by_key.insert(key.to_string(), number);
        self.storages.push(DeclaredStorage {
            key: key.to_string(),
            length,
            element,
        });
        Ok(number)
    }

    pub(super) fn storages(&self) -> &[DeclaredStorage] {
        &self.storages
    }

    pub(super) fn storage_of_key(&self, key: &str) -> Option<u32> {
        self.by_key.get(key).copied()
    }

    pub(super) fn object(&self, value: Value) -> Option<&Object> {
        match value {
            Value::Object(number) => self.objects.get(number as usize),
            _ => None,
        }
    }

    pub(super) fn text(&self, value: Value) -> Option<&str> {
        match self.object(value) {
            Some(Object::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(super) fn sequence(&self, value: Value) -> Option<&[Value]> {
        match self.object(value) {
            Some(Object::Sequence(items)) => Some(items),
            _ => None,
        }
    }

    pub(super) fn dict(&self, value: Value) -> Option<&[(Value, Value)]> {
        match self.object(value) {
            Some(Object::Dict(items)) => Some(items),
            _ => None,
        }
    }

    /// The list or set that items are being added to.
    pub(super) fn extend_sequence(&mut self, target: Value, items: &[Value]) -> Result<()> {
        self.charge(size_of_val(items))?;
        match self.mutable(target) {
            Some(Object::Sequence(list)) => {
                list.extend_from_slice(items);
                return Ok(());
            }
            // A class derived from list or set.
            Some(object @ Object::Foreign(_)) => {
                *object = Object::Sequence(items.to_vec());
                return Ok(());
            }
            _ => {}
        }
        Err(Error::format(
            "",
            "a list or set to add to",
            self.name(target),
        ))
    }

    /// Adds keys and values, which alternate in `items`.
    pub(super) fn extend_dict(&mut self, target: Value, items: &[Value]) -> Result<()> {
        self.charge(size_of_val(items))?;
        let (pairs, rest) = items.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(Error::format("", "a value for every key", "a key alone"));
        }
        let pairs = pairs.iter().map(|&[key, value]| (key, value));
        match self.mutable(target) {
            Some(Object::Dict(dict)) => {
                dict.extend(pairs);
                return Ok(());
            }
            // A class derived from dict.
            Some(object @ Object::Foreign(_)) => {
                *object = Object::Dict(pairs.collect());
                return Ok(());
            }
            _ => {}
        }
        Err(Error::format("", "a dict to add to", self.name(target)))
    }

    fn mutable(&mut self, value: Value) -> Option<&mut Object> {
        match value {
            Value::Object(number) => self.objects.get_mut(number as usize),
            _ => None,
        }
    }

    /// The name of the unknown class with this number.
    fn class_name(&self, class: u32) -> Option<&str> {
        match self.objects.get(class as usize) {
            Some(Object::Class(name)) => Some(name),
            _ => None,
        }
    }

    /// What a value is, for an error.
    pub(super) fn name(&self, value: Value) -> String {
        match value {
            Value::None => "None".to_string(),
            Value::Bool(value) => value.to_string(),
            Value::Int(value) => value.to_string(),
            Value::Float(value) => value.to_string(),
            Value::Global(global) => format!("the class or function {global:?}"),
            Value::Aside => "other data".to_string(),
            Value::Object(_) => match self.object(value) {
                Some(Object::Text(text)) => {
                    let start: String = text.chars().take(40).collect();
                    format!("the text {start:?}")
                }
                Some(Object::Sequence(_)) => "a list, tuple or set".to_string(),
                Some(Object::Dict(_)) => "a dict".to_string(),
                Some(Object::Storage(_)) => "a storage".to_string(),
                Some(Object::Tensor(_)) => "a tensor".to_string(),
                Some(Object::Class(name)) => format!("the class or function {name}"),
                Some(Object::Foreign(class)) => {
                    let class = self.class_name(*class);
                    format!("an object of {}", class.unwrap_or_default())
                }
                None => "nothing".to_string(),
            },
        }
    }
}
