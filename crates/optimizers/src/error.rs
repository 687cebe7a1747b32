//! What can go wrong with an optimizer, each with where, expected, received and what to do.

use regraft_tensor::Detail;

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

/// Refuses a hyperparameter unless `valid`.
pub(crate) fn require(
    valid: bool,
    owner: &str,
    name: &str,
    expected: &str,
    received: impl std::fmt::Display,
) -> Result<()> {
    if valid {
        return Ok(());
    }
    Err(Error::Hyperparameter(Detail::new(
        format!("{owner}.{name}"),
        expected,
        received,
    )))
}

/// Refuses a decay rate outside `[0, 1)`.
pub(crate) fn require_rate(owner: &str, name: &str, value: f64) -> Result<()> {
    require(
        (0.0..1.0).contains(&value),
        owner,
        name,
        "a number in [0, 1)",
        value,
    )
}

/// Refuses a number that is negative, infinite or not a number.
pub(crate) fn require_non_negative(owner: &str, name: &str, value: f64) -> Result<()> {
    require(
        value.is_finite() && value >= 0.0,
        owner,
        name,
        "a finite number, zero or more",
        value,
    )
}
