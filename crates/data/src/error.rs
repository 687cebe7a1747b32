//! The errors of this crate, each with where / expected / received / what to do.

use regraft_tensor::Detail;

/// What can be wrong with a data set.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused to open or read a file.
    #[error("cannot read the file: {0}")]
    File(Detail),
    /// A file that is not a sound idx file; the place is `file, byte offset`.
    #[error("not a sound idx file: {0}")]
    Idx(Detail),
    /// A class label that cannot be one, or lies outside the classes; the place is a sample number.
    #[error("label out of range: {0}")]
    Label(Detail),
    /// A split or a pick that the data do not allow.
    #[error("cannot split the samples: {0}")]
    Split(Detail),
    /// Samples that cannot be trained on: none at all, not a number, or of different counts.
    #[error("unusable data: {0}")]
    Data(Detail),
}

regraft_tensor::debug_prints_the_message!(Error);

impl Error {
    /// The four parts of the message.
    pub fn detail(&self) -> &Detail {
        match self {
            Error::File(detail)
            | Error::Idx(detail)
            | Error::Label(detail)
            | Error::Split(detail)
            | Error::Data(detail) => detail,
        }
    }
}

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
