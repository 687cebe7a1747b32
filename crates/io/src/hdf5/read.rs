//! Reading: the tree of a file, with limits, and each dataset's values on demand.

use std::cell::Cell;
use std::collections::HashMap;

use hdf5_pure::{AttrValue, Datatype, FormatError, Layout, Source};

use super::elements;
use crate::input::Input;
use crate::naming::natural_order;
use crate::tensor_data::byte_length;
use crate::{DataType, Error, Result, TensorData};

/// Groups within groups, at most. Keras' deepest files have about ten.
const DEEPEST: usize = 64;

/// A compressed dataset may be this many times larger than the file, plus [`UNPACKED_ALLOWANCE`].
const MOST_EXPANSION: u64 = 100;

/// Compressed datasets may take this many bytes in any case.
const UNPACKED_ALLOWANCE: u64 = 64 << 20;

/// A group: its text attributes and its children, each list in natural order.
#[derive(Default)]
pub(crate) struct Group {
    pub(crate) attributes: HashMap<String, Attribute>,
    pub(crate) groups: Vec<(String, Group)>,
    pub(crate) datasets: Vec<(String, Dataset)>,
}

/// An attribute, as far as weight files use them.
pub(crate) enum Attribute {
    Text(String),
    /// A list of strings. Keras' empty list has an element type of f64; it is this too.
    Texts(Vec<String>),
}

/// A dataset whose values have not been read yet.
pub(crate) struct Dataset {
    handle: hdf5_pure::Dataset,
    file: std::rc::Rc<Limits>,
}

/// What the datasets of a file share: its bytes, and how many of them were handed out already.
struct Limits {
    input: Input,
    plain: Cell<u64>,
    unpacked: Cell<u64>,
}

impl Group {
    pub(crate) fn group(&self, name: &str) -> Option<&Group> {
        self.groups
            .iter()
            .find(|(child, _)| child == name)
            .map(|(_, group)| group)
    }

    /// The dataset at `path`, whose `/` lead through groups.
    pub(crate) fn dataset(&self, path: &str) -> Option<&Dataset> {
        match path.split_once('/') {
            Some((name, rest)) => self.group(name)?.dataset(rest),
            None => self
                .datasets
                .iter()
                .find(|(child, _)| child == path)
                .map(|(_, dataset)| dataset),
        }
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

/// Reads the tree of `input`: everything but the datasets' values.
pub(crate) fn open(input: &Input) -> Result<Group> {
    let problem = |error| explain("", error);
    let file = hdf5_pure::File::from_source(HdfSource(input.clone())).map_err(problem)?;
    let mut walk = Walk {
        file: std::rc::Rc::new(Limits {
            input: input.clone(),
            plain: Cell::new(0),
            unpacked: Cell::new(0),
        }),
        // The smallest entry of a group takes more bytes than this, so only links that lead back
        // into the tree can show more objects.
        objects_left: input.length() / 16 + 64,
    };
    walk.group(&file.root(), "", 0)
}

struct Walk {
    file: std::rc::Rc<Limits>,
    objects_left: u64,
}

impl Walk {
    fn group(&mut self, group: &hdf5_pure::Group, path: &str, depth: usize) -> Result<Group> {
        let problem = |error| explain(path, error);
        if depth > DEEPEST {
            return Err(Error::limit(
                path,
                format!("at most {DEEPEST} groups within each other"),
                "more (a loop?)",
            ));
        }
        let mut found = Group::default();
        for (name, value) in group.attrs().map_err(problem)? {
            if let Some(attribute) = attribute(value) {
                found.attributes.insert(name, attribute);
            }
        }
        let datasets = group.iter_datasets().map_err(problem)?;
        let groups = group.iter_groups().map_err(problem)?;
        let count = (datasets.len() + groups.len()) as u64;
        self.objects_left = self.objects_left.checked_sub(count).ok_or_else(|| {
            Error::limit(
                path,
                "no more objects than the file has room for",
                "more (links that lead in a circle?)",
            )
        })?;
        for (name, handle) in datasets {
            let file = self.file.clone();
            found.datasets.push((name, Dataset { handle, file }));
        }
        for (name, group) in groups {
            let below = join(path, &name);
            found
                .groups
                .push((name, self.group(&group, &below, depth + 1)?));
        }
        found.datasets.sort_by(|a, b| natural_order(&a.0, &b.0));
        found.groups.sort_by(|a, b| natural_order(&a.0, &b.0));
        Ok(found)
    }
}

impl Dataset {
    /// The values. `path` is for messages.
    pub(crate) fn read(&self, path: &str) -> Result<TensorData> {
        let problem = |error| explain(path, error);
        let data_type = self.data_type(path)?;
        let shape = self.handle.shape().map_err(problem)?;
        let shape: Option<Vec<usize>> = shape.iter().map(|&axis| axis.try_into().ok()).collect();
        let length = shape
            .as_ref()
            .and_then(|shape| byte_length(data_type, shape));
        let (Some(shape), Some(length)) = (shape, length) else {
            return Err(Error::limit(
                path,
                "a shape that fits into memory",
                "a larger one",
            ));
        };
        let length = length as u64;
        let limits = &self.file;
        match self.handle.layout().map_err(problem)? {
            Layout::Contiguous { .. } if length == 0 => {
                TensorData::read_with(data_type, shape, |_| Ok(()))
            }
            Layout::Contiguous { address: None, .. } => {
                // A few bytes can declare any shape when none of it is stored.
                Err(Error::limit(
                    path,
                    format!("{length} bytes of values"),
                    "a shape without stored values",
                ))
            }
            Layout::Contiguous {
                address: Some(address),
                size,
            } => {
                if size < length {
                    return Err(Error::format(
                        path,
                        format!("{length} bytes for shape {shape:?} of {data_type}"),
                        format!("{size} bytes"),
                    ));
                }
                limits.claim(&limits.plain, limits.input.length(), length, path)?;
                TensorData::read_with(data_type, shape, |buffer| {
                    limits.input.read_at(address, buffer).map_err(|error| {
                        Error::format(path, format!("{length} bytes at {address}"), error)
                            .help("the file is truncated; copy or download it again")
                    })
                })
            }
            _ => {
                let most = limits.input.length().saturating_mul(MOST_EXPANSION);
                let most = most.saturating_add(UNPACKED_ALLOWANCE);
                limits.claim(&limits.unpacked, most, length, path)?;
                let bytes = self.handle.read_raw().map_err(problem)?;
                TensorData::new(data_type, shape, bytes).map_err(|error| error.in_file(path))
            }
        }
    }

    fn data_type(&self, path: &str) -> Result<DataType> {
        let problem = |error| explain(path, error);
        let datatype = self.handle.datatype().map_err(problem)?;
        let keras_type = match datatype {
            Datatype::Opaque { .. } => {
                let mut attributes = self.handle.attrs().map_err(problem)?;
                match attributes.remove("dtype").and_then(attribute) {
                    Some(Attribute::Text(text)) => Some(text),
                    _ => None,
                }
            }
            _ => None,
        };
        elements::from_hdf5(&datatype, keras_type.as_deref()).ok_or_else(|| {
            let received = match keras_type {
                Some(name) => name,
                None => format!("{datatype:?}"),
            };
            Error::unsupported(
                path,
                "little-endian floats, integers, bfloat16 or bool",
                received,
            )
            .help("save it in one of these types")
        })
    }
}

impl Limits {
    /// Counts `length` more bytes against `most`; datasets of a sound file do not overlap.
    fn claim(&self, counter: &Cell<u64>, most: u64, length: u64, path: &str) -> Result<()> {
        let total = counter.get().saturating_add(length);
        counter.set(total);
        if total > most {
            return Err(Error::limit(
                path,
                format!("values of at most {most} bytes in all, by the size of the file"),
                format!("{total} bytes"),
            )
            .help("the file is truncated, or its datasets overlap or declare a shape they lack"));
        }
        Ok(())
    }
}

pub(super) fn join(path: &str, name: &str) -> String {
    match path {
        "" => name.to_string(),
        _ => format!("{path}/{name}"),
    }
}

fn attribute(value: AttrValue) -> Option<Attribute> {
    match value {
        AttrValue::String(text)
        | AttrValue::AsciiString(text)
        | AttrValue::VarLenString(text)
        | AttrValue::VarLenAsciiString(text)
        | AttrValue::StringSized { value: text, .. }
        | AttrValue::AsciiStringSized { value: text, .. } => Some(Attribute::Text(text)),
        AttrValue::StringArray(texts)
        | AttrValue::AsciiStringArray(texts)
        | AttrValue::VarLenStringArray(texts)
        | AttrValue::VarLenAsciiStringArray(texts)
        | AttrValue::StringArraySized { values: texts, .. }
        | AttrValue::AsciiStringArraySized { values: texts, .. } => Some(Attribute::Texts(texts)),
        AttrValue::F64Array(values) if values.is_empty() => Some(Attribute::Texts(Vec::new())),
        _ => None,
    }
}

/// The container's complaint in our terms.
fn explain(path: &str, error: hdf5_pure::Error) -> Error {
    use hdf5_pure::Error as Hdf;
    match error {
        Hdf::Io(error) => Error::io(std::path::Path::new(path), "readable bytes", &error),
        Hdf::Format(
            error @ (FormatError::UnsupportedVirtualLayout
            | FormatError::UnsupportedExternalStorage
            | FormatError::UnsupportedFilteredHeapObject
            | FormatError::UnsupportedFilter(_)
            | FormatError::UnsupportedVersion(_)),
        ) => Error::unsupported(path, "values stored in the file itself", error)
            .help("write the file again with h5py's defaults, as Keras does"),
        error => Error::format(path, "sound HDF5", error)
            .help("the file is truncated or corrupt, or the group holds a soft link"),
    }
}

/// [`Input`] as `hdf5-pure` wants it.
struct HdfSource(Input);

impl Source for HdfSource {
    fn len(&self) -> u64 {
        self.0.length()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), FormatError> {
        self.0.read_at(offset, buffer).map_err(|error| {
            if error.kind() == std::io::ErrorKind::UnexpectedEof {
                FormatError::UnexpectedEof {
                    expected: buffer.len(),
                    available: self.0.length().saturating_sub(offset) as usize,
                }
            } else {
                FormatError::Source(error.to_string())
            }
        })
    }
}
