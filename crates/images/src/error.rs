//! The errors of this crate, each with where / expected / received / what to do; the place is the file's path.

use std::path::Path;

use regraft_tensor::{Detail, one_line};

/// What keeps a file from being a picture, or files from being a data set.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused to open or read a file or a folder.
    #[error("cannot read: {0}")]
    File(Detail),
    /// The bytes are no picture of a format that is read here: an empty file, a text, a film.
    #[error("not a picture: {0}")]
    Format(Detail),
    /// The picture has bytes that its format does not allow.
    #[error("broken picture: {0}")]
    Broken(Detail),
    /// The file ends before the picture does.
    #[error("truncated picture: {0}")]
    Truncated(Detail),
    /// The file, or the size that it declares, is larger than the [`Limits`](crate::Limits).
    #[error("picture too large: {0}")]
    TooLarge(Detail),
    /// The file has other bytes than when it was first read.
    #[error("file changed: {0}")]
    Changed(Detail),
    /// A folder or a list that is no data set, or an option that does not fit.
    #[error("no data set of pictures: {0}")]
    Set(Detail),
}

regraft_tensor::debug_prints_the_message!(Error);

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The four parts.
    pub fn detail(&self) -> &Detail {
        match self {
            Error::File(detail)
            | Error::Format(detail)
            | Error::Broken(detail)
            | Error::Truncated(detail)
            | Error::TooLarge(detail)
            | Error::Changed(detail)
            | Error::Set(detail) => detail,
        }
    }

    /// The same at this place.
    #[must_use]
    pub(crate) fn at(mut self, place: &str) -> Self {
        let (Error::File(detail)
        | Error::Format(detail)
        | Error::Broken(detail)
        | Error::Truncated(detail)
        | Error::TooLarge(detail)
        | Error::Changed(detail)
        | Error::Set(detail)) = &mut self;
        detail.at = place.to_string();
        self
    }
}

impl From<Error> for Detail {
    fn from(error: Error) -> Self {
        // The kind is said in front of the four parts: "truncated picture: photos/a.jpg: expected …".
        let detail = error.detail().clone();
        let kind = error.to_string();
        let kind = kind.split(':').next().unwrap_or_default();
        Detail {
            received: format!("{} ({kind})", detail.received),
            ..detail
        }
    }
}

/// A path as it is shown in messages: on one line, whatever characters a name has.
pub fn shown(path: &Path) -> String {
    one_line(&path.to_string_lossy())
}
