//! The tree of a file: groups with their text attributes, datasets whose values are read on demand.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use super::attribute::{self, Attribute};
use super::datatype::{self, Datatype};
use super::file::File;
use super::header::{self, Message};
use super::{UNDEFINED, group, join, links, message};
use crate::input::Input;
use crate::naming::natural_order;
use crate::tensor_data::byte_length;
use crate::{DataType, Error, Result, TensorData};

/// Groups within groups, at most. Keras' deepest files have about ten.
const DEEPEST: usize = 64;

/// Axes of a dataset, at most, as in HDF5 itself.
const MOST_AXES: usize = 32;

/// A group: its text attributes and its children, each list in natural order.
#[derive(Default)]
pub(crate) struct Group {
    pub(crate) attributes: HashMap<String, Attribute>,
    pub(crate) groups: Vec<(String, Group)>,
    pub(crate) datasets: Vec<(String, Dataset)>,
}

/// A dataset whose values have not been read yet.
pub(crate) struct Dataset {
    file: Rc<File>,
    messages: Vec<Message>,
}

impl Group {
    pub(crate) fn group(&self, name: &str) -> Option<&Group> {
        let found = self.groups.iter().find(|(child, _)| child == name);
        found.map(|(_, group)| group)
    }

    /// The dataset at `path`, whose `/` lead through groups.
    pub(crate) fn dataset(&self, path: &str) -> Option<&Dataset> {
        if let Some((name, rest)) = path.split_once('/') {
            return self.group(name)?.dataset(rest);
        }
        let found = self.datasets.iter().find(|(child, _)| child == path);
        found.map(|(_, dataset)| dataset)
    }

    /// The group at `path`, whose `/` lead through groups.
    pub(crate) fn descend(&self, path: &str) -> Option<&Group> {
        path.split('/')
            .try_fold(self, |group, name| group.group(name))
    }

    pub(crate) fn text(&self, attribute: &str) -> Option<&str> {
        match self.attributes.get(attribute) {
            Some(Attribute::Text(text)) => Some(text),
            _ => None,
        }
    }
}

/// What the attributes of metadata entries begin with, to tell them from Keras' own.
const ENTRY: &str = "regraft.";

impl Group {
    /// The metadata entries that [`NewGroup::entries`](super::NewGroup::entries) attached.
    pub(crate) fn entries(&self) -> BTreeMap<String, String> {
        let text = |(name, value): (&String, &Attribute)| match value {
            Attribute::Text(text) => Some((name.strip_prefix(ENTRY)?.to_string(), text.clone())),
            Attribute::Texts(_) => None,
        };
        self.attributes.iter().filter_map(text).collect()
    }
}

impl super::NewGroup<'_> {
    /// Attaches metadata entries, which Keras passes over.
    pub(crate) fn entries(&mut self, entries: &BTreeMap<String, String>) -> Result<()> {
        entries
            .iter()
            .try_for_each(|(key, value)| self.text(&format!("{ENTRY}{key}"), value))
    }
}

/// Reads the tree of `input`: everything but the datasets' values.
pub(crate) fn open(input: &Input) -> Result<Group> {
    let (file, root) = File::open(input)?;
    let messages = header::read(&file, root)?;
    read_group(&file, &messages, "", 0)
}

fn read_group(file: &Rc<File>, messages: &[Message], path: &str, depth: usize) -> Result<Group> {
    if depth > DEEPEST {
        let expected = format!("at most {DEEPEST} groups within each other");
        return Err(Error::limit(path, expected, "more (a loop?)"));
    }
    let here = |error: Error| match path {
        "" => error,
        _ => error.in_file(path),
    };
    let mut group = Group::default();
    for message in messages.iter().filter(|m| m.kind == message::ATTRIBUTE) {
        if let (name, Some(value)) = attribute::read(file, message).map_err(here)? {
            group.attributes.insert(name, value);
        }
    }
    let members = members(file, messages).map_err(here)?;
    let mut names = HashSet::new();
    for (name, address) in members {
        let below = join(path, &name);
        if !names.insert(name.clone()) {
            return Err(Error::format(below, "one object of this name", "two"));
        }
        let messages = header::read(file, address).map_err(|error| error.in_file(&below))?;
        if find(&messages, message::LAYOUT).is_some() {
            let file = file.clone();
            group.datasets.push((name, Dataset { file, messages }));
        } else {
            let child = read_group(file, &messages, &below, depth + 1)?;
            group.groups.push((name, child));
        }
    }
    group.datasets.sort_by(|a, b| natural_order(&a.0, &b.0));
    group.groups.sort_by(|a, b| natural_order(&a.0, &b.0));
    Ok(group)
}

/// The names of a group's members and the addresses of their headers.
fn members(file: &File, messages: &[Message]) -> Result<Vec<(String, u64)>> {
    let mut members = Vec::new();
    let mut member = |name, address| {
        members.push((name, address));
        Ok(())
    };
    if let Some(table) = find(messages, message::SYMBOL_TABLE) {
        let mut fields = table.fields();
        group::members(file, fields.u64()?, fields.u64()?, &mut member)?;
    } else if let Some(info) = find(messages, message::LINK_INFO) {
        let links = messages.iter().filter(|one| one.kind == message::LINK);
        let links: Vec<&Message> = links.collect();
        links::members(file, info, &links, &mut member)?;
    } else {
        return Err(Error::format("", "a group or a dataset", "another object"));
    }
    Ok(members)
}

fn find(messages: &[Message], kind: u16) -> Option<&Message> {
    messages.iter().find(|message| message.kind == kind)
}

impl Dataset {
    /// The values. `path` is for messages.
    pub(crate) fn read(&self, path: &str) -> Result<TensorData> {
        self.values().map_err(|error| error.in_file(path))
    }

    fn values(&self) -> Result<TensorData> {
        let message = |kind, name: &str| {
            find(&self.messages, kind)
                .ok_or_else(|| Error::format("", format!("its {name}"), "none"))
        };
        if find(&self.messages, message::EXTERNAL_FILES).is_some() {
            return Err(header::newer("values in another file"));
        }
        if find(&self.messages, message::FILTERS).is_some() {
            return Err(header::newer("compressed values"));
        }
        let data_type = self.data_type(message(message::DATATYPE, "datatype")?)?;
        let space = message(message::DATASPACE, "dataspace")?;
        let shape = attribute::dataspace(&mut space.fields())?;
        let sizes: Option<Vec<usize>> = shape.iter().map(|&axis| axis.try_into().ok()).collect();
        let sizes = sizes.filter(|sizes| sizes.len() <= MOST_AXES);
        let length = sizes
            .as_ref()
            .and_then(|sizes| byte_length(data_type, sizes));
        let (Some(sizes), Some(length)) = (sizes, length) else {
            return Err(Error::limit(
                "",
                "a shape that fits into memory",
                format!("{shape:?}"),
            ));
        };
        let (address, size) = contiguous(message(message::LAYOUT, "layout")?)?;
        if length == 0 {
            return TensorData::read_with(data_type, sizes, |_| Ok(()));
        }
        let length = length as u64;
        if address == UNDEFINED {
            // A few bytes can declare any shape when none of it is stored.
            let expected = format!("{length} bytes of values for shape {shape:?}");
            return Err(Error::limit("", expected, "none stored"));
        }
        if size < length {
            let expected = format!("{length} bytes of values for shape {shape:?} of {data_type}");
            return Err(Error::format("", expected, format!("{size}")));
        }
        self.file.charge_values(length)?;
        let input = &self.file.input;
        if address
            .checked_add(length)
            .is_none_or(|end| end > input.length())
        {
            return Err(Error::format(
                format!("byte {address}"),
                format!("{length} bytes of values"),
                format!("the end of the file at {}", input.length()),
            )
            .help("the file is truncated or corrupt; copy or download it again"));
        }
        TensorData::read_with(data_type, sizes, |buffer| {
            let read = input.read_at(address, buffer);
            read.map_err(|error| Error::format(format!("byte {address}"), "readable values", error))
        })
    }

    fn data_type(&self, message: &Message) -> Result<DataType> {
        let datatype = datatype::parse(&mut message.fields())?;
        let received = match datatype {
            Datatype::Number(data_type) => return Ok(data_type),
            Datatype::Opaque { size } => match self.keras_type()? {
                Some(name) if name == "bfloat16" && size == 2 => return Ok(DataType::BF16),
                Some(name) => name,
                None => format!("opaque elements of {size} bytes"),
            },
            Datatype::Text { size } => format!("text of {size} bytes"),
            Datatype::HeapText => "text".to_string(),
            Datatype::Other { size, name } => format!("{name} of {size} bytes"),
        };
        let expected = "little-endian floats, integers, bfloat16 or bool";
        Err(Error::unsupported("", expected, received))
    }

    /// The attribute by which Keras marks types that NumPy does not know.
    fn keras_type(&self) -> Result<Option<String>> {
        for message in self
            .messages
            .iter()
            .filter(|m| m.kind == message::ATTRIBUTE)
        {
            if let (name, Some(Attribute::Text(value))) = attribute::read(&self.file, message)?
                && name == "dtype"
            {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }
}

/// Address and size of values that lie in one piece.
fn contiguous(layout: &Message) -> Result<(u64, u64)> {
    let mut fields = layout.fields();
    let version = fields.u8()?;
    let class = fields.u8()?;
    match (version, class) {
        (3 | 4, 1) => Ok((fields.u64()?, fields.u64()?)),
        (3 | 4, 0) => Err(header::newer("values within the header (compact layout)")),
        (3 | 4, 2) => Err(header::newer("values in chunks")),
        (4, 3) => Err(header::newer("values mapped from other datasets")),
        _ => Err(header::newer(&format!(
            "layout {class} of version {version}"
        ))),
    }
}
