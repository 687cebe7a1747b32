//! The error of this crate, with where / expected / received / what to do.

use regraft_tensor::Detail;

/// What can be wrong with what a report is made of.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Bytes that no browser shows, or a heat map that is none.
    #[error("not a picture for a report: {0}")]
    Picture(Detail),
}

regraft_tensor::debug_prints_the_message!(Error);

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
