//! What can go wrong with an optimizer, each with where, expected, received and what to do.

use regraft_settings::{Configured, Detail, place};

/// The errors of this crate.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A hyperparameter outside its range, or two that exclude each other.
    #[error("invalid hyperparameter: {0}")]
    Hyperparameter(Detail),
    /// A name of an optimizer or schedule that does not exist.
    #[error("unknown name: {0}")]
    UnknownName(Detail),
    /// A configuration (as Keras stores it) that cannot be understood.
    #[error("invalid configuration: {0}")]
    Config(Detail),
    /// Parameters or gradients that do not fit the plan they are used with.
    #[error("parameters do not fit: {0}")]
    Parameters(Detail),
    /// A saved state that does not fit the optimizer or its parameters.
    #[error("optimizer state does not fit: {0}")]
    State(Detail),
}

regraft_tensor::debug_prints_the_message!(Error);

impl Error {
    /// The four parts of the message.
    pub fn detail(&self) -> &Detail {
        match self {
            Error::Hyperparameter(detail)
            | Error::UnknownName(detail)
            | Error::Config(detail)
            | Error::Parameters(detail)
            | Error::State(detail) => detail,
        }
    }
}

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Refuses settings that have no meaning.
pub(crate) fn check<T: Configured + ?Sized>(it: &T) -> Result<()> {
    it.check().map_err(|detail| named(it.class_name(), detail))
}

/// What is wrong with a setting of `owner`.
pub(crate) fn named(owner: &str, mut detail: Detail) -> Error {
    detail.at = match detail.at.is_empty() {
        true => owner.to_string(),
        false => place(owner, &detail.at),
    };
    Error::Hyperparameter(detail)
}
