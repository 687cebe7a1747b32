//! Writing: a tree of groups that borrow their tensors, encoded in one pass.

use std::collections::BTreeMap;
use std::io::Write;

use hdf5_pure::{AttrValue, FileBuilder, FinishedGroup, GroupBuilder};

use super::elements;
use super::read::join;
use crate::{DataType, Error, Result, TensorData};

/// Longer lists of strings are split into `name0`, `name1`, …, as Keras does, because an object
/// header holds no more than 64 KiB.
const LONGEST_LIST: usize = 64_512;

/// A group to be written.
#[derive(Default)]
pub(crate) struct NewGroup<'a> {
    attributes: Vec<(String, AttrValue)>,
    children: BTreeMap<String, Child<'a>>,
}

enum Child<'a> {
    Group(NewGroup<'a>),
    Dataset(&'a TensorData),
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
        match group
            .children
            .insert(name.to_string(), Child::Dataset(tensor))
        {
            None => Ok(()),
            Some(_) => Err(clash(path)),
        }
    }

    /// Attaches a string, as h5py writes a Python `str`.
    pub(crate) fn text(&mut self, name: &str, value: &str) -> Result<()> {
        if value.contains('\0') {
            return Err(Error::format(name, "text without NUL", "a NUL"));
        }
        self.attributes
            .push((name.to_string(), AttrValue::VarLenString(value.to_string())));
        Ok(())
    }

    /// Attaches a list of strings, split as Keras splits it. An empty one is a list of no f64, as
    /// NumPy makes of an empty Python list.
    pub(crate) fn texts(&mut self, name: &str, values: &[String]) -> Result<()> {
        let longest = values.iter().map(String::len).max().unwrap_or(0).max(1);
        if longest > LONGEST_LIST || values.iter().any(|value| value.contains('\0')) {
            return Err(Error::format(
                name,
                format!("names of at most {LONGEST_LIST} bytes, without NUL"),
                "another name",
            ));
        }
        if values.is_empty() {
            let empty = AttrValue::F64Array(Vec::new());
            self.attributes.push((name.to_string(), empty));
            return Ok(());
        }
        let per_part = LONGEST_LIST / longest;
        let parts: Vec<&[String]> = values.chunks(per_part).collect();
        for (i, part) in parts.iter().enumerate() {
            let name = match parts.len() {
                1 => name.to_string(),
                _ => format!("{name}{i}"),
            };
            self.attributes
                .push((name, AttrValue::StringArray(part.to_vec())));
        }
        Ok(())
    }

    /// Encodes this group as the root of a file. All of the structure is checked before the first
    /// byte is written.
    pub(crate) fn write_to(self, out: impl Write) -> Result<()> {
        let mut file = FileBuilder::new();
        for (name, value) in self.attributes {
            file.set_attr(&name, value);
        }
        for (name, child) in self.children {
            match child {
                Child::Group(group) => {
                    let builder = file.create_group(&name);
                    file.add_group(group.finish(builder, &name));
                }
                Child::Dataset(tensor) => fill(file.create_dataset(&name), tensor),
            }
        }
        file.finish_to(out).map_err(|error| match error {
            hdf5_pure::Error::Io(error) => {
                Error::io(std::path::Path::new(""), "room to write", &error)
            }
            error => Error::format("", "something HDF5 can hold", error),
        })
    }

    fn finish(self, mut builder: GroupBuilder, path: &str) -> FinishedGroup {
        for (name, value) in self.attributes {
            builder.set_attr(&name, value);
        }
        for (name, child) in self.children {
            match child {
                Child::Group(group) => {
                    let below = builder.create_group(&name);
                    builder.add_group(group.finish(below, &join(path, &name)));
                }
                Child::Dataset(tensor) => fill(builder.create_dataset(&name), tensor),
            }
        }
        builder.finish()
    }
}

impl Default for Child<'_> {
    fn default() -> Self {
        Child::Group(NewGroup::default())
    }
}

fn fill(dataset: &mut hdf5_pure::DatasetBuilder, tensor: &TensorData) {
    let shape: Vec<u64> = tensor.shape().iter().map(|&axis| axis as u64).collect();
    dataset
        .with_raw_data(
            elements::to_hdf5(tensor.data_type()),
            tensor.bytes().to_vec(),
            tensor.len() as u64,
        )
        .with_shape(&shape);
    if tensor.data_type() == DataType::BF16 {
        dataset.set_attr("dtype", AttrValue::VarLenString("bfloat16".to_string()));
    }
}

fn check_name(name: &str, path: &str) -> Result<()> {
    if name.is_empty() || name == "." || name.contains('\0') {
        return Err(Error::format(
            path,
            "names between the slashes",
            format!("{name:?}"),
        ));
    }
    Ok(())
}

fn clash(path: &str) -> Error {
    Error::format(path, "a path of its own for every tensor", "one used twice")
        .help("give the layers and their weights distinct names")
}
