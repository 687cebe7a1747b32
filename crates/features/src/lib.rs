#![doc = include_str!("../README.md")]

mod disk;
mod error;
mod namespace;
mod segment;
mod store;
#[cfg(test)]
mod tests;

pub use error::{Error, Result};
pub use namespace::Namespace;
pub use segment::{Fault, Segment};
pub use store::{FeatureStore, Usage};

/// A hash: of what computes rows, or of what a row is computed from.
pub type Digest = [u8; 32];
