//! The part of HDF5 that weight files need: groups, numeric datasets and text attributes.
//!
//! Parsing and encoding the container is left to `hdf5-pure`; this module adds the limits that keep
//! a hostile file from costing more than its size warrants, reads plain datasets straight from the
//! input into their final memory, and names every problem by its path.

mod elements;
mod read;
mod write;

pub(crate) use read::{Attribute, Group, open};
pub(crate) use write::NewGroup;

/// The first bytes of every HDF5 file.
pub(crate) const SIGNATURE: [u8; 8] = *b"\x89HDF\r\n\x1a\n";
