//! A fractal heap: objects of any length, one after the other in blocks that grow.
//!
//! ```text
//!                  columns
//!            ┌─────┬─────┬─────┬─────┐
//!  row 0     │  s  │  s  │  s  │  s  │   direct blocks with objects
//!  row 1     │  s  │  s  │  s  │  s  │
//!  row 2     │ 2s  │ 2s  │ 2s  │ 2s  │
//!  …         │           …           │
//!  row r     │ blocks with rows again│   from the size on that a direct block may not have
//!            └───────────────────────┘
//! ```
//!
//! An object is found by how far it lies from the beginning of all blocks.

use super::UNDEFINED;
use super::fields::Fields;
use super::file::File;
use crate::{Error, Result};

/// Rows within rows, at most.
const DEEPEST: usize = 16;

/// A heap without filters.
pub(super) struct Heap<'a> {
    file: &'a File,
    /// Bytes that tell where an object lies.
    offset_width: usize,
    columns: u64,
    /// Bytes of a block in the first row.
    start: u64,
    /// Bytes of the largest direct block.
    largest: u64,
    root: u64,
    /// Rows of the root; 0 if it is a direct block.
    rows: u16,
}

impl<'a> Heap<'a> {
    pub fn open(file: &'a File, address: u64) -> Result<Self> {
        let head = file.bytes(address, 142)?;
        let mut fields = Fields::new(&head, address);
        fields.expect(b"FRHP\0", "a fractal heap")?;
        fields.take(2)?;
        if fields.u16()? != 0 {
            return Err(super::header::newer("a compressed heap of links"));
        }
        // Flags, sizes of objects, what lies outside, free space and numbers of objects.
        fields.take(1 + 4 + 8 + 8 + 8 + 8 + 8 * 8)?;
        let (columns, start, largest) = (fields.u16()?, fields.u64()?, fields.u64()?);
        let bits = fields.u16()?;
        fields.take(2)?;
        let (root, rows) = (fields.u64()?, fields.u16()?);
        let sound = columns > 0
            && start.is_power_of_two()
            && largest.is_power_of_two()
            && start <= largest
            && largest <= 1 << 32
            && (8..=64).contains(&bits);
        if !sound {
            let received = format!("{columns} columns of {start} to {largest} bytes, {bits} bits");
            return Err(Error::format(fields.place(), "a heap's table", received));
        }
        Ok(Heap {
            file,
            offset_width: usize::from(bits).div_ceil(8),
            columns: columns.into(),
            start,
            largest,
            root,
            rows,
        })
    }

    /// The bytes of an object, and where they lie in the file.
    pub fn object(&self, id: &[u8]) -> Result<(Vec<u8>, u64)> {
        let mut fields = Fields::new(id, self.root);
        if fields.u8()? & 0xf0 != 0 {
            return Err(super::header::newer("a link outside of its heap's blocks"));
        }
        let offset = fields.number(self.offset_width)?;
        let rest = id.len().saturating_sub(1 + self.offset_width);
        let length = fields.number(rest.min(8))?;
        let address = self.place(offset)?;
        Ok((self.file.bytes(address, length)?, address))
    }

    /// Where in the file that lies which is so far from the beginning of all blocks.
    fn place(&self, mut offset: u64) -> Result<u64> {
        let mut block = self.root;
        let mut rows = u64::from(self.rows);
        for _ in 0..DEEPEST {
            if rows == 0 {
                return match block {
                    UNDEFINED => Err(self.nothing(offset)),
                    block => Ok(block.saturating_add(offset)),
                };
            }
            let first = self.columns * self.start;
            let row = match offset / first {
                0 => 0,
                times => u64::from(times.ilog2()) + 1,
            };
            if row >= rows {
                return Err(self.nothing(offset));
            }
            let (size, before) = match row {
                0 => (self.start, 0),
                row => (self.start << (row - 1), first << (row - 1)),
            };
            let column = (offset - before) / size;
            let entry = row * self.columns + column;
            let head = 4 + 1 + 8 + self.offset_width as u64;
            let bytes = self.file.bytes(block, 4)?;
            Fields::new(&bytes, block).expect(b"FHIB", "a block of a heap's rows")?;
            let at = block.saturating_add(head + 8 * entry);
            offset = offset - before - column * size;
            block = Fields::new(&self.file.bytes(at, 8)?, at).u64()?;
            rows = match size > self.largest {
                // As many as have the block's bytes together.
                true => u64::from((size / first).max(1).ilog2()) + 1,
                false => 0,
            };
        }
        Err(self.nothing(offset))
    }

    fn nothing(&self, offset: u64) -> Error {
        let place = format!("the heap at byte {}", self.root);
        Error::format(place, "an object", format!("nothing at {offset}"))
    }
}
