//! The errors of the graph: a shape rule that did not hold, a gradient that does not exist, values
//! that do not fit the program they are fed to.

use regraft_tensor::Detail;

/// The errors of this crate.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An op was applied to operands that its shape rule refuses.
    #[error("shapes do not fit: {0}")]
    Shape(Detail),
    /// An op was applied to integers where it takes floats, or the other way round.
    #[error("wrong element type: {0}")]
    DataType(Detail),
    /// A gradient was asked for that does not exist.
    #[error("no gradient: {0}")]
    Gradient(Detail),
    /// Values fed to a program are not what the program was built for.
    #[error("wrong value fed: {0}")]
    Feed(Detail),
    /// A gradient does not agree with finite differences.
    #[error("gradient check failed: {0}")]
    Gradcheck(Detail),
}

regraft_tensor::debug_prints_the_message!(Error);

impl Error {
    /// The four parts of the message.
    pub fn detail(&self) -> &Detail {
        match self {
            Error::Shape(detail)
            | Error::DataType(detail)
            | Error::Gradient(detail)
            | Error::Feed(detail)
            | Error::Gradcheck(detail) => detail,
        }
    }

    /// The same error with `prefix` in front of the place where it happened.
    #[must_use]
    pub fn within(self, prefix: &str) -> Self {
        match self {
            Error::Shape(detail) => Error::Shape(detail.within(prefix)),
            Error::DataType(detail) => Error::DataType(detail.within(prefix)),
            Error::Gradient(detail) => Error::Gradient(detail.within(prefix)),
            Error::Feed(detail) => Error::Feed(detail.within(prefix)),
            Error::Gradcheck(detail) => Error::Gradcheck(detail.within(prefix)),
        }
    }
}

impl From<regraft_tensor::Error> for Error {
    fn from(error: regraft_tensor::Error) -> Self {
        match error {
            regraft_tensor::Error::Shape(detail) => Error::Shape(detail),
            regraft_tensor::Error::Index(detail) => Error::Feed(detail),
            other => Error::Shape(Detail::new("", "a valid tensor", other)),
        }
    }
}

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
