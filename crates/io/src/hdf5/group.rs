//! A group's members: a B-tree of symbol-table nodes whose names lie in a local heap.

use super::fields::Fields;
use super::file::{File, text};
use crate::{Error, Result};

/// Calls `member` with the name and the header's address of every member, in the file's order.
pub(super) fn members(
    file: &File,
    tree: u64,
    heap: u64,
    member: &mut dyn FnMut(String, u64) -> Result<()>,
) -> Result<()> {
    let head = file.bytes(heap, 32)?;
    let mut fields = Fields::new(&head, heap);
    fields.expect(b"HEAP\0", "a local heap")?;
    fields.take(3)?;
    let length = fields.u64()?;
    fields.take(8)?;
    let names = file.bytes(fields.u64()?, length)?;
    let mut walk = Walk {
        file,
        names,
        member,
    };
    walk.node(tree, None)
}

/// Checks that a member of a group can have this name.
pub(super) fn check_name(name: &str, place: String) -> Result<()> {
    match name.is_empty() || name == "." || name.contains('/') {
        true => Err(Error::format(place, "a member's name", format!("{name:?}"))),
        false => Ok(()),
    }
}

/// The error for a member that is elsewhere.
pub(super) fn no_link(name: String, received: &str) -> Error {
    Error::unsupported(name, "the object itself", received)
        .help("Keras does not write links; load and save the file without them")
}

struct Walk<'a> {
    file: &'a File,
    names: Vec<u8>,
    member: &'a mut dyn FnMut(String, u64) -> Result<()>,
}

impl Walk<'_> {
    /// Visits the tree's node at `address`, which is of `level` unless it is the root.
    fn node(&mut self, address: u64, level: Option<u8>) -> Result<()> {
        let head = self.file.bytes(address, 24)?;
        let mut fields = Fields::new(&head, address);
        fields.expect(b"TREE\0", "a B-tree of a group")?;
        let found = fields.u8()?;
        // Levels go down by one, so that no path through the tree is endless.
        if level.is_some_and(|level| level != found) {
            return Err(Error::format(
                fields.place(),
                format!("a node of level {}", level.unwrap_or(0)),
                format!("level {found}"),
            ));
        }
        let count = fields.u16()?;
        // Keys and children take turns; the keys only help to find a name.
        let children = self
            .file
            .bytes(address.saturating_add(24), u64::from(count) * 16)?;
        for child in children.chunks_exact(16) {
            let child = Fields::new(&child[8..], address).u64()?;
            match found {
                0 => self.symbols(child)?,
                _ => self.node(child, Some(found - 1))?,
            }
        }
        Ok(())
    }

    fn symbols(&mut self, address: u64) -> Result<()> {
        let head = self.file.bytes(address, 8)?;
        let mut fields = Fields::new(&head, address);
        fields.expect(b"SNOD\x01", "a symbol-table node")?;
        fields.u8()?;
        let count = fields.u16()?;
        let start = address.saturating_add(8);
        let entries = self.file.bytes(start, u64::from(count) * 40)?;
        for entry in entries.chunks_exact(40) {
            let mut fields = Fields::new(entry, start);
            let (name, header, cache) = (fields.u64()?, fields.u64()?, fields.u32()?);
            let bytes = usize::try_from(name)
                .ok()
                .and_then(|at| self.names.get(at..));
            let name = match bytes.map(text) {
                Some(name) => name?,
                None => String::new(),
            };
            check_name(&name, format!("byte {start}"))?;
            if cache == 2 {
                return Err(no_link(name, "a soft link"));
            }
            (self.member)(name, header)?;
        }
        Ok(())
    }
}
