//! What can go wrong when a checkpoint is read or written.

use std::fmt::Display;
use std::io;
use std::path::Path;

use regraft_tensor::Detail;

/// The errors of this crate. Each variant's [`Detail`] names the file and the place in it.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such file or folder.
    #[error("not found: {0}")]
    NotFound(Detail),
    /// The operating system refused to read or write.
    #[error("input/output failed: {detail}")]
    Io {
        /// Which file, and what the system said.
        detail: Detail,
        /// The system's kind of failure, as in [`std::io::Error::kind`].
        kind: io::ErrorKind,
    },
    /// The bytes are not what the format says: truncated, corrupt, or another format altogether.
    #[error("malformed file: {0}")]
    Format(Detail),
    /// The file is sound but uses something that this crate does not read.
    #[error("not supported: {0}")]
    Unsupported(Detail),
    /// Reading would take far more memory or time than the file's size warrants.
    #[error("limit exceeded: {0}")]
    Limit(Detail),
    /// Something that the file promises, or that a writer needs, is absent.
    #[error("missing: {0}")]
    Missing(Detail),
    /// A tensor's elements are of another type than the one asked for, or do not fit into it.
    #[error("element type: {0}")]
    DataType(Detail),
}

regraft_tensor::debug_prints_the_message!(Error);

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn format(
        at: impl Into<String>,
        expected: impl Display,
        received: impl Display,
    ) -> Self {
        Error::Format(Detail::new(at, expected, received))
    }

    pub(crate) fn unsupported(
        at: impl Into<String>,
        expected: impl Display,
        received: impl Display,
    ) -> Self {
        Error::Unsupported(Detail::new(at, expected, received))
    }

    pub(crate) fn limit(
        at: impl Into<String>,
        expected: impl Display,
        received: impl Display,
    ) -> Self {
        Error::Limit(Detail::new(at, expected, received))
    }

    pub(crate) fn missing(
        at: impl Into<String>,
        expected: impl Display,
        received: impl Display,
    ) -> Self {
        Error::Missing(Detail::new(at, expected, received))
    }

    /// What the system said about `path`, while `doing` (as in "a readable file").
    pub(crate) fn io(path: &Path, expected: &str, error: &io::Error) -> Self {
        let detail = Detail::new(path.display().to_string(), expected, error);
        match error.kind() {
            io::ErrorKind::NotFound => Error::NotFound(detail.help("check the path")),
            kind @ io::ErrorKind::StorageFull => Error::Io {
                detail: detail
                    .help("make room, or write to another place; what was there is left as it was"),
                kind,
            },
            kind => Error::Io { detail, kind },
        }
    }

    /// Adds what the reader can do.
    #[must_use]
    pub(crate) fn help(self, help: &str) -> Self {
        self.map(|detail| detail.help(help))
    }

    /// Puts a file's name in front of the place, as in `model.weights.h5: layers/dense`.
    #[must_use]
    pub(crate) fn in_file(self, file: &str) -> Self {
        self.map(|mut detail| {
            detail.at = match detail.at.as_str() {
                "" => file.to_string(),
                at => format!("{file}: {at}"),
            };
            detail
        })
    }

    /// The four parts of the message.
    pub fn detail(&self) -> &Detail {
        match self {
            Error::NotFound(detail)
            | Error::Format(detail)
            | Error::Unsupported(detail)
            | Error::Limit(detail)
            | Error::Missing(detail)
            | Error::DataType(detail)
            | Error::Io { detail, .. } => detail,
        }
    }

    fn map(self, change: impl FnOnce(Detail) -> Detail) -> Self {
        match self {
            Error::NotFound(detail) => Error::NotFound(change(detail)),
            Error::Format(detail) => Error::Format(change(detail)),
            Error::Unsupported(detail) => Error::Unsupported(change(detail)),
            Error::Limit(detail) => Error::Limit(change(detail)),
            Error::Missing(detail) => Error::Missing(change(detail)),
            Error::DataType(detail) => Error::DataType(change(detail)),
            Error::Io { detail, kind } => Error::Io {
                detail: change(detail),
                kind,
            },
        }
    }
}
