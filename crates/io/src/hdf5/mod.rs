//! The part of HDF5 that weight files use: symbol-table groups, groups of links where names are not ASCII,
//! contiguous datasets of numbers, and attributes of text. Written after the format specification, version 1.8 ("superblock version 0"),
//! which is what h5py and so Keras write by default, in every version so far.
//!
//! Reading costs no more than the file's size warrants: every structure is checked against the
//! file's end before it is read, and the bytes read in all are limited to a small multiple of the
//! file, which is what ends loops and overlaps. Links out of the file, compression and the newer
//! structures of `libver="latest"` are named and refused.

mod attribute;
mod datatype;
mod fields;
mod file;
mod group;
mod header;
mod heap;
mod links;
mod tree;
mod write;

pub(crate) use attribute::Attribute;
pub(crate) use tree::{Group, open};
pub(crate) use write::NewGroup;

/// The first bytes of every HDF5 file.
pub(crate) const SIGNATURE: [u8; 8] = *b"\x89HDF\r\n\x1a\n";

/// The address that means "none".
const UNDEFINED: u64 = u64::MAX;

/// Types of the messages in an object's header.
mod message {
    pub(super) const DATASPACE: u16 = 0x01;
    pub(super) const LINK_INFO: u16 = 0x02;
    pub(super) const DATATYPE: u16 = 0x03;
    pub(super) const FILL_VALUE: u16 = 0x05;
    pub(super) const LINK: u16 = 0x06;
    pub(super) const EXTERNAL_FILES: u16 = 0x07;
    pub(super) const LAYOUT: u16 = 0x08;
    pub(super) const FILTERS: u16 = 0x0B;
    pub(super) const ATTRIBUTE: u16 = 0x0C;
    pub(super) const CONTINUATION: u16 = 0x10;
    pub(super) const SYMBOL_TABLE: u16 = 0x11;
    pub(super) const ATTRIBUTE_INFO: u16 = 0x15;
}

/// `dense` in `layers` → `layers/dense`.
pub(crate) fn join(path: &str, name: &str) -> String {
    match path {
        "" => name.to_string(),
        _ => format!("{path}/{name}"),
    }
}
