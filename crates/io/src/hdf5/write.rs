//! Writing: a tree of groups that borrow their tensors. Everything but the values is laid out in
//! memory first, so that all addresses are known; then the file is written from front to back.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::io::Write;

use super::{SIGNATURE, UNDEFINED, datatype, message};
use crate::{DataType, Error, Result, TensorData};

/// Longer lists of strings are split into `name0`, `name1`, …, as Keras does, because a message of
/// a header holds no more than 64 KiB.
const LONGEST_LIST: usize = 64_512;

/// Entries of a symbol-table node, twice the superblock's "leaf K".
const SYMBOLS_PER_NODE: usize = 8;

/// Children of a B-tree node, twice the superblock's "internal K".
const CHILDREN_PER_NODE: usize = 32;

/// Bytes of a B-tree node: head, children, and one key more than children.
const TREE_NODE: u64 = 24 + 32 * 8 + 33 * 8;

/// The smallest heap collection that the HDF5 library accepts.
const SMALLEST_COLLECTION: usize = 4096;

/// A group to be written.
#[derive(Default)]
pub(crate) struct NewGroup<'a> {
    attributes: Vec<(String, Value)>,
    /// Sorted by bytes, as the B-tree wants them.
    children: BTreeMap<String, Child<'a>>,
}

enum Value {
    Text(String),
    Texts(Vec<String>),
}

enum Child<'a> {
    Group(NewGroup<'a>),
    Dataset(&'a TensorData),
}

impl Default for Child<'_> {
    fn default() -> Self {
        Child::Group(NewGroup::default())
    }
}

impl<'a> NewGroup<'a> {
    /// The group at `path` below this one, made with all its parents where they are missing.
    pub(crate) fn group(&mut self, path: &str) -> Result<&mut NewGroup<'a>> {
        let mut group = self;
        for name in path.split('/') {
            check_name(name, path)?;
            let child = group.children.entry(name.to_string()).or_default();
            group = match child {
                Child::Group(child) => child,
                Child::Dataset(_) => return Err(clash(path)),
            };
        }
        Ok(group)
    }

    /// Puts `tensor` at `path` below this group.
    pub(crate) fn dataset(&mut self, path: &str, tensor: &'a TensorData) -> Result<()> {
        let (group, name) = match path.rsplit_once('/') {
            Some((groups, name)) => (self.group(groups)?, name),
            None => (self, path),
        };
        check_name(name, path)?;
        let child = Child::Dataset(tensor);
        match group.children.insert(name.to_string(), child) {
            None => Ok(()),
            Some(_) => Err(clash(path)),
        }
    }

    /// Attaches a string, as h5py writes a Python `str`.
    pub(crate) fn text(&mut self, name: &str, value: &str) -> Result<()> {
        if value.contains('\0') {
            return Err(Error::format(name, "text without NUL", "a NUL"));
        }
        let value = Value::Text(value.to_string());
        self.attributes.push((name.to_string(), value));
        Ok(())
    }

    /// Attaches a list of strings, split as Keras splits it.
    pub(crate) fn texts(&mut self, name: &str, values: &[String]) -> Result<()> {
        let longest = values.iter().map(String::len).max().unwrap_or(0).max(1);
        if longest > LONGEST_LIST || values.iter().any(|value| value.contains('\0')) {
            let expected = format!("names of at most {LONGEST_LIST} bytes, without NUL");
            return Err(Error::format(name, expected, "another name"));
        }
        let mut parts: Vec<&[String]> = values.chunks(LONGEST_LIST / longest).collect();
        if parts.is_empty() {
            parts.push(&[]);
        }
        for (i, part) in parts.iter().enumerate() {
            let name = match parts.len() {
                1 => name.to_string(),
                _ => format!("{name}{i}"),
            };
            self.attributes.push((name, Value::Texts(part.to_vec())));
        }
        Ok(())
    }

    /// Writes this group as the root of a file.
    pub(crate) fn write_to(self, mut out: impl Write) -> Result<()> {
        let mut layout = Layout::default();
        let mut texts = Vec::new();
        self.collect_texts(&mut texts);
        layout.heaps(&texts);
        let root = layout.group(&self)?;
        let superblock = superblock(&root, layout.position);
        let parts = std::iter::once(superblock.into()).chain(layout.parts);
        for part in parts {
            let padding = part.len().next_multiple_of(8) - part.len();
            out.write_all(&part)
                .and_then(|()| out.write_all(&[0; 8][..padding]))
                .map_err(|error| Error::io(std::path::Path::new(""), "room to write", &error))?;
        }
        Ok(())
    }

    /// The strings that go to a heap, in the order in which [`Layout::group`] comes to them.
    fn collect_texts(&self, texts: &mut Vec<String>) {
        for child in self.children.values() {
            match child {
                Child::Group(group) => group.collect_texts(texts),
                Child::Dataset(tensor) => {
                    texts.extend(keras_type(tensor).map(|(_, name)| name.to_string()));
                }
            }
        }
        for (_, value) in &self.attributes {
            if let Value::Text(text) = value {
                texts.push(text.clone());
            }
        }
    }
}

/// The parts of a file after its superblock; each begins at a multiple of 8.
struct Layout<'a> {
    parts: Vec<Cow<'a, [u8]>>,
    position: u64,
    /// Length, collection and number of the strings to come.
    texts: VecDeque<(u32, u64, u32)>,
}

/// Where a group lies.
struct Placed {
    header: u64,
    tree: u64,
    heap: u64,
}

impl Default for Layout<'_> {
    fn default() -> Self {
        Layout {
            parts: Vec::new(),
            position: 96,
            texts: VecDeque::new(),
        }
    }
}

impl<'a> Layout<'a> {
    fn push(&mut self, part: impl Into<Cow<'a, [u8]>>) -> u64 {
        let part = part.into();
        let address = self.position;
        self.position += (part.len() as u64).next_multiple_of(8);
        self.parts.push(part);
        address
    }

    fn heaps(&mut self, texts: &[String]) {
        let mut rest = texts;
        while !rest.is_empty() {
            let mut objects = Vec::new();
            let mut count = 0;
            while let Some(text) = rest.get(count) {
                let grown = objects.len() + 16 + text.len();
                if count > 0 && grown > SMALLEST_COLLECTION - 32 {
                    break;
                }
                count += 1;
                objects.extend((count as u16).to_le_bytes());
                objects.extend([1, 0, 0, 0, 0, 0]);
                objects.extend((text.len() as u64).to_le_bytes());
                objects.extend(text.as_bytes());
                objects.resize(objects.len().next_multiple_of(8), 0);
            }
            let size = (16 + objects.len()).max(SMALLEST_COLLECTION);
            let free = size - 16 - objects.len();
            let mut bytes = b"GCOL\x01\0\0\0".to_vec();
            bytes.extend((size as u64).to_le_bytes());
            bytes.extend(objects);
            if free >= 16 {
                bytes.extend([0; 8]);
                bytes.extend((free as u64).to_le_bytes());
            }
            bytes.resize(size, 0);
            let address = self.push(bytes);
            let placed = rest[..count].iter().zip(1..);
            self.texts
                .extend(placed.map(|(text, number)| (text.len() as u32, address, number)));
            rest = &rest[count..];
        }
    }

    fn dataset(&mut self, tensor: &'a TensorData) -> Result<u64> {
        let address = match tensor.is_empty() {
            true => UNDEFINED,
            false => self.push(tensor.bytes()),
        };
        let shape: Vec<u64> = tensor.shape().iter().map(|&axis| axis as u64).collect();
        let mut layout = vec![3, 1];
        layout.extend(address.to_le_bytes());
        layout.extend((tensor.bytes().len() as u64).to_le_bytes());
        let mut header = Header::default();
        header.message(message::DATASPACE, 0, &dataspace(&shape))?;
        header.message(message::DATATYPE, 1, &datatype::encode(tensor.data_type()))?;
        // Allocated when written, never filled by itself, with the default value of zero.
        header.message(message::FILL_VALUE, 1, &[2, 2, 2, 1, 0, 0, 0, 0])?;
        header.message(message::LAYOUT, 0, &layout)?;
        if let Some((name, _)) = keras_type(tensor) {
            self.text_attribute(&mut header, name)?;
        }
        Ok(self.push(header.finish()))
    }

    fn group(&mut self, group: &NewGroup<'a>) -> Result<Placed> {
        let mut names = vec![0; 8];
        let mut symbols = Vec::with_capacity(group.children.len());
        for (name, child) in &group.children {
            let header = match child {
                Child::Group(group) => self.group(group)?.header,
                Child::Dataset(tensor) => self.dataset(tensor)?,
            };
            symbols.push((names.len() as u64, header));
            names.extend(name.as_bytes());
            names.resize((names.len() + 1).next_multiple_of(8), 0);
        }
        let tree = self.tree(&symbols);
        let length = names.len() as u64;
        let names = self.push(names);
        let mut heap = b"HEAP\0\0\0\0".to_vec();
        // 1: no free space.
        for field in [length, 1, names] {
            heap.extend(field.to_le_bytes());
        }
        let heap = self.push(heap);

        let mut header = Header::default();
        let table = [tree.to_le_bytes(), heap.to_le_bytes()].concat();
        header.message(message::SYMBOL_TABLE, 0, &table)?;
        for (name, value) in &group.attributes {
            match value {
                Value::Text(_) => self.text_attribute(&mut header, name)?,
                Value::Texts(texts) => header.texts(name, texts)?,
            }
        }
        let header = self.push(header.finish());
        Ok(Placed { header, tree, heap })
    }

    /// Writes symbol-table nodes and the B-tree over them; returns the address of its root.
    fn tree(&mut self, symbols: &[(u64, u64)]) -> u64 {
        // A child's key is the name before it; the first one is the empty name at 0.
        let mut keys = vec![0];
        let mut children = Vec::new();
        for symbols in symbols.chunks(SYMBOLS_PER_NODE) {
            let mut node = b"SNOD\x01\0".to_vec();
            node.extend((symbols.len() as u16).to_le_bytes());
            for (name, header) in symbols {
                node.extend(name.to_le_bytes());
                node.extend(header.to_le_bytes());
                node.extend([0; 24]);
            }
            node.resize(8 + SYMBOLS_PER_NODE * 40, 0);
            children.push(self.push(node));
            keys.extend(symbols.last().map(|(name, _)| *name));
        }
        for level in 0u8.. {
            let mut parents = Vec::new();
            let mut parent_keys = vec![0];
            let count = children.len().div_ceil(CHILDREN_PER_NODE).max(1);
            for i in 0..count {
                let first = i * CHILDREN_PER_NODE;
                let end = children.len().min(first + CHILDREN_PER_NODE);
                let left = if i > 0 {
                    self.position - TREE_NODE
                } else {
                    UNDEFINED
                };
                let right = if i + 1 < count {
                    self.position + TREE_NODE
                } else {
                    UNDEFINED
                };
                let mut node = b"TREE\0".to_vec();
                node.push(level);
                node.extend(((end - first) as u16).to_le_bytes());
                for field in [left, right, keys[first]] {
                    node.extend(field.to_le_bytes());
                }
                for j in first..end {
                    node.extend(children[j].to_le_bytes());
                    node.extend(keys[j + 1].to_le_bytes());
                }
                node.resize(TREE_NODE as usize, 0);
                parents.push(self.push(node));
                parent_keys.push(keys[end]);
            }
            if let [root] = parents[..] {
                return root;
            }
            (children, keys) = (parents, parent_keys);
        }
        unreachable!("each level has at most half the nodes of the one below, rounded up")
    }

    /// Attaches the next of the strings that lie in heaps.
    fn text_attribute(&mut self, header: &mut Header, name: &str) -> Result<()> {
        let text = self.texts.pop_front();
        let (length, address, number) = text.expect("every text was collected in this order");
        let mut value = length.to_le_bytes().to_vec();
        value.extend(address.to_le_bytes());
        value.extend(number.to_le_bytes());
        header.attribute(name, &datatype::encode_heap_text(), &dataspace(&[]), &value)
    }
}

/// The header of an object under construction.
#[derive(Default)]
struct Header {
    messages: Vec<u8>,
    count: u16,
}

impl Header {
    fn message(&mut self, kind: u16, flags: u8, data: &[u8]) -> Result<()> {
        let size = data.len().next_multiple_of(8);
        let (Ok(short), Some(count)) = (u16::try_from(size), self.count.checked_add(1)) else {
            let expected = "at most 65,535 messages of less than 64 KiB";
            return Err(Error::limit("", expected, format!("one of {size} bytes")));
        };
        self.count = count;
        self.messages.extend(kind.to_le_bytes());
        self.messages.extend(short.to_le_bytes());
        self.messages.extend([flags, 0, 0, 0]);
        self.messages.extend(data);
        self.messages
            .resize(self.messages.len().next_multiple_of(8), 0);
        Ok(())
    }

    fn attribute(&mut self, name: &str, datatype: &[u8], space: &[u8], value: &[u8]) -> Result<()> {
        let name = [name.as_bytes(), &[0]].concat();
        let mut data = vec![1, 0];
        for part in [&name, datatype, space] {
            data.extend((part.len() as u16).to_le_bytes());
        }
        for part in [&name, datatype, space] {
            data.extend(part);
            data.resize(data.len().next_multiple_of(8), 0);
        }
        data.extend(value);
        self.message(message::ATTRIBUTE, 0, &data)
    }

    /// A list of strings of equal size; an empty one is a list of no f64, as NumPy makes of an
    /// empty Python list.
    fn texts(&mut self, name: &str, texts: &[String]) -> Result<()> {
        let size = texts.iter().map(String::len).max().unwrap_or(0).max(1);
        let mut values = Vec::with_capacity(size * texts.len());
        for text in texts {
            values.extend(text.as_bytes());
            values.resize(values.len() + size - text.len(), 0);
        }
        let datatype = match texts {
            [] => datatype::encode(DataType::F64),
            _ => datatype::encode_text(size as u32),
        };
        self.attribute(name, &datatype, &dataspace(&[texts.len() as u64]), &values)
    }

    fn finish(self) -> Vec<u8> {
        let mut bytes = vec![1, 0];
        bytes.extend(self.count.to_le_bytes());
        bytes.extend(1u32.to_le_bytes());
        bytes.extend((self.messages.len() as u32).to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(self.messages);
        bytes
    }
}

fn superblock(root: &Placed, end: u64) -> Vec<u8> {
    let mut bytes = SIGNATURE.to_vec();
    bytes.extend([0, 0, 0, 0, 0, 8, 8, 0]);
    bytes.extend((SYMBOLS_PER_NODE as u16 / 2).to_le_bytes());
    bytes.extend((CHILDREN_PER_NODE as u16 / 2).to_le_bytes());
    bytes.extend([0; 4]);
    // Base, free space, end, driver; then the root's entry, with its tree and heap at hand.
    for field in [
        0,
        UNDEFINED,
        end,
        UNDEFINED,
        0,
        root.header,
        1,
        root.tree,
        root.heap,
    ] {
        bytes.extend(field.to_le_bytes());
    }
    bytes
}

fn dataspace(shape: &[u64]) -> Vec<u8> {
    let mut bytes = vec![1, shape.len() as u8, 0, 0, 0, 0, 0, 0];
    bytes.extend(shape.iter().flat_map(|axis| axis.to_le_bytes()));
    bytes
}

/// The attribute by which Keras marks a type that NumPy does not know.
fn keras_type(tensor: &TensorData) -> Option<(&'static str, &'static str)> {
    (tensor.data_type() == DataType::BF16).then_some(("dtype", "bfloat16"))
}

fn check_name(name: &str, path: &str) -> Result<()> {
    if name.is_empty() || name == "." || name.contains('\0') {
        let received = format!("{name:?}");
        return Err(Error::format(path, "names between the slashes", received));
    }
    Ok(())
}

fn clash(path: &str) -> Error {
    Error::format(path, "a path of its own for every tensor", "one used twice")
        .help("give the layers and their weights distinct names")
}
