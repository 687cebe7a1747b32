//! The errors of building and changing a model.

use regraft_tensor::Detail;

/// The errors of this crate.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A layer got an input, or a weight a value, of a shape that it refuses.
    #[error("shapes do not fit: {0}")]
    Shape(Detail),
    /// A setting of a layer, an initializer, … has no meaning.
    #[error("invalid setting: {0}")]
    Setting(Detail),
    /// A name that must be unique is not, or a name is not known.
    #[error("{0}")]
    Name(Detail),
    /// A selector that matches no layer.
    #[error("the selector matches nothing: {0}")]
    NoMatch(Detail),
    /// The model is not built yet, or cannot be changed the way that was asked for.
    #[error("the model does not allow this: {0}")]
    Model(Detail),
    /// A configuration (`config.json`) that does not describe a model.
    #[error("cannot make this from its configuration: {0}")]
    Config(Detail),
    /// What the data-flow graph refused.
    #[error(transparent)]
    Graph(#[from] regraft_autograd::Error),
}

regraft_tensor::debug_prints_the_message!(Error);

impl Error {
    /// The four parts of the message.
    pub fn detail(&self) -> &Detail {
        match self {
            Error::Shape(detail)
            | Error::Setting(detail)
            | Error::Name(detail)
            | Error::NoMatch(detail)
            | Error::Model(detail)
            | Error::Config(detail) => detail,
            Error::Graph(error) => error.detail(),
        }
    }

    /// The same error with `prefix` in front of the place where it happened.
    #[must_use]
    pub fn within(self, prefix: &str) -> Self {
        match self {
            Error::Shape(detail) => Error::Shape(detail.within(prefix)),
            Error::Setting(detail) => Error::Setting(detail.within(prefix)),
            Error::Name(detail) => Error::Name(detail.within(prefix)),
            Error::NoMatch(detail) => Error::NoMatch(detail.within(prefix)),
            Error::Model(detail) => Error::Model(detail.within(prefix)),
            Error::Config(detail) => Error::Config(detail.within(prefix)),
            Error::Graph(error) => Error::Graph(error.within(prefix)),
        }
    }
}

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
