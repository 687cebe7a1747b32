//! The errors of this crate, each with where / expected / received / what to do.

use std::io::{self, ErrorKind};
use std::path::Path;

use regraft_tensor::Detail;

/// What can be wrong with a store of features.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused to read.
    #[error("cannot read features: {0}")]
    Read(Detail),
    /// The operating system refused to write. What is in the store can still be read.
    #[error("cannot write features: {0}")]
    Write(Detail),
    /// The disk is full. What is in the store can still be read.
    #[error("the disk is full: {0}")]
    Full(Detail),
    /// The budget is used up by what is in use.
    #[error("the budget is used up: {0}")]
    Budget(Detail),
    /// Another process has been writing for long.
    #[error("another process is writing: {0}")]
    Busy(Detail),
    /// A row of another length than those of its namespace.
    #[error("not a row of this namespace: {0}")]
    Row(Detail),
}

regraft_tensor::debug_prints_the_message!(Error);

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The four parts of the message.
    pub fn detail(&self) -> &Detail {
        match self {
            Error::Read(detail)
            | Error::Write(detail)
            | Error::Full(detail)
            | Error::Budget(detail)
            | Error::Busy(detail)
            | Error::Row(detail) => detail,
        }
    }

    pub(crate) fn read(path: &Path, error: &io::Error) -> Self {
        Error::Read(Detail::new(path.display().to_string(), "to read it", error))
    }

    pub(crate) fn write(path: &Path, error: &io::Error) -> Self {
        let detail = Detail::new(path.display().to_string(), "to write it", error);
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                Error::Full(detail.help("make room, or put the store where there is some"))
            }
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                Error::Write(detail.help("put the store where it can be written"))
            }
            _ => Error::Write(detail),
        }
    }
}
