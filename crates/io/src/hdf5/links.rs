//! A group's members in the form of HDF5 1.8, which a group gets when a member's name is not ASCII: a message in its
//! header for each link, or, for more than eight, a heap of the same messages that a B-tree lists.

use super::UNDEFINED;
use super::fields::Fields;
use super::file::{File, text};
use super::group::{check_name, no_link};
use super::header::Message;
use super::heap::Heap;
use crate::{Error, Result};

/// Levels of a B-tree, at most: each has many times as many records as the one above.
const DEEPEST: u16 = 8;

/// Calls `member` with the name and the header's address of every member, in the file's order. `info` tells where
/// links lie that are no messages.
pub(super) fn members(
    file: &File,
    info: &Message,
    links: &[&Message],
    member: &mut dyn FnMut(String, u64) -> Result<()>,
) -> Result<()> {
    let mut hard = |bytes: &[u8], at: u64| {
        let (name, address) = link(bytes, at)?;
        member(name, address)
    };
    for message in links {
        hard(&message.data, message.at)?;
    }
    let mut fields = info.fields();
    fields.expect(&[0], "where links lie")?;
    if fields.u8()? & 1 != 0 {
        fields.take(8)?; // The largest number in the order of creation.
    }
    let (heap, names) = (fields.u64()?, fields.u64()?);
    if heap == UNDEFINED || names == UNDEFINED {
        return Ok(());
    }
    let heap = Heap::open(file, heap)?;
    Tree::open(file, names)?.records(&mut |record| {
        // A hash of the name, and where the message lies.
        let id = record.get(4..).unwrap_or_default();
        let (bytes, at) = heap.object(id)?;
        hard(&bytes, at)
    })
}

/// The name of a link, and the address of what it leads to.
fn link(bytes: &[u8], at: u64) -> Result<(String, u64)> {
    let mut fields = Fields::new(bytes, at);
    fields.expect(&[1], "a link")?;
    let flags = fields.u8()?;
    let has = |flag: u8| flags & flag != 0;
    let kind = if has(8) { fields.u8()? } else { 0 };
    if has(4) {
        fields.take(8)?; // Its number in the order of creation.
    }
    if has(16) {
        fields.take(1)?; // The name's character set: ASCII is UTF-8.
    }
    let length = fields.number(1 << (flags & 3))?;
    let place = fields.place();
    let name = usize::try_from(length)
        .ok()
        .map(|length| fields.take(length));
    let name = match name {
        Some(name) => text(name?)?,
        None => String::new(),
    };
    check_name(&name, place)?;
    match kind {
        0 => Ok((name, fields.u64()?)),
        kind => {
            let received = match kind {
                1 => "a soft link",
                64 => "a link out of the file",
                _ => "a link of another kind",
            };
            Err(no_link(name, received))
        }
    }
}

/// A B-tree of version 2 that lists links by the hashes of their names.
struct Tree<'a> {
    file: &'a File,
    root: u64,
    root_records: u64,
    depth: u16,
    node: u64,
    record: u64,
}

impl<'a> Tree<'a> {
    fn open(file: &'a File, address: u64) -> Result<Self> {
        let head = file.bytes(address, 38)?;
        let mut fields = Fields::new(&head, address);
        fields.expect(b"BTHD\0\x05", "a B-tree of links")?;
        let (node, record, depth) = (fields.u32()?, fields.u16()?, fields.u16()?);
        fields.take(2)?;
        let (root, root_records) = (fields.u64()?, fields.u16()?);
        if record < 5 || node < 64 || depth > DEEPEST {
            let expected = format!("nodes with records, on at most {DEEPEST} levels");
            let received = format!("records of {record} in nodes of {node} bytes, {depth} levels");
            return Err(Error::format(fields.place(), expected, received));
        }
        Ok(Tree {
            file,
            root,
            root_records: root_records.into(),
            depth,
            node: node.into(),
            record: record.into(),
        })
    }

    fn records(&self, each: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        match self.root_records {
            0 => Ok(()),
            count => self.node(self.root, count, self.depth, each),
        }
    }

    /// Visits a node of `count` records, `depth` levels above the leaves.
    fn node(
        &self,
        address: u64,
        count: u64,
        depth: u16,
        each: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let bytes = self.file.bytes(address, self.node)?;
        let mut fields = Fields::new(&bytes, address);
        let signature = if depth == 0 {
            b"BTLF\0\x05"
        } else {
            b"BTIN\0\x05"
        };
        fields.expect(signature, "a node of a B-tree of links")?;
        let mut records = Vec::new();
        for _ in 0..count {
            records.push(fields.take(self.record as usize)?);
        }
        let Some(below) = depth.checked_sub(1) else {
            return records.into_iter().try_for_each(each);
        };
        let width = self.count_width();
        // One child before each record, and one behind the last.
        for child in 0..=records.len() {
            let address = fields.u64()?;
            let count = fields.number(width)?;
            if below > 0 {
                fields.number(width_of(self.most_below(below)))?;
            }
            self.node(address, count, below, each)?;
            if let Some(record) = records.get(child) {
                each(record)?;
            }
        }
        Ok(())
    }

    /// The most records of a node that stands so many levels above the leaves.
    fn most(&self, depth: u16) -> u64 {
        let pointer = match depth {
            0 => 0,
            depth => self.pointer(depth),
        };
        self.node.saturating_sub(10 + pointer) / (self.record + pointer)
    }

    /// Bytes of a pointer to a child in a node of this depth.
    fn pointer(&self, depth: u16) -> u64 {
        let total = match depth {
            1 => 0,
            depth => width_of(self.most_below(depth - 1)),
        };
        8 + (self.count_width() + total) as u64
    }

    /// Bytes of a node's number of records: a leaf has the most.
    fn count_width(&self) -> usize {
        width_of(self.most(0))
    }

    /// The most records of a node of this depth and of all below it.
    fn most_below(&self, depth: u16) -> u64 {
        let most = self.most(depth);
        match depth {
            0 => most,
            depth => (most + 1)
                .saturating_mul(self.most_below(depth - 1))
                .saturating_add(most),
        }
    }
}

/// The bytes that a number up to `most` takes.
fn width_of(most: u64) -> usize {
    (most.max(1).ilog2() / 8 + 1) as usize
}
