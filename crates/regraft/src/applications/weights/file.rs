//! A file of weights that somebody publishes.

use super::hash::Hash;

/// A published file of weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightsFile {
    /// Its name in folders.
    pub name: String,
    /// Where it can be had.
    pub url: String,
    /// What it must have, if that is published.
    pub hash: Option<Hash>,
}
