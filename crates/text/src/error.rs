//! The errors of this crate, each with where / expected / received / what to do.

use regraft_tensor::Detail;

/// What keeps a file from being a tokenizer, or texts from becoming token ids.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused to open or read a file or a folder.
    #[error("cannot read: {0}")]
    File(Detail),
    /// The bytes are no tokenizer: other JSON, a vocabulary without the tokens that every text needs.
    #[error("not a tokenizer: {0}")]
    Format(Detail),
    /// A text that cannot be tokenized, such as bytes that are no UTF-8.
    #[error("not a text: {0}")]
    Text(Detail),
    /// A token id that the vocabulary does not have.
    #[error("unknown token: {0}")]
    Token(Detail),
    /// Options that do not fit each other: too short a length, as many labels as texts.
    #[error("no data set of texts: {0}")]
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
            | Error::Text(detail)
            | Error::Token(detail)
            | Error::Set(detail) => detail,
        }
    }

    /// The same within this place.
    pub(crate) fn within(self, place: &str) -> Self {
        match self {
            Error::File(detail) => Error::File(detail.within(place)),
            Error::Format(detail) => Error::Format(detail.within(place)),
            Error::Text(detail) => Error::Text(detail.within(place)),
            Error::Token(detail) => Error::Token(detail.within(place)),
            Error::Set(detail) => Error::Set(detail.within(place)),
        }
    }
}

impl From<Error> for Detail {
    fn from(error: Error) -> Self {
        error.detail().clone()
    }
}
