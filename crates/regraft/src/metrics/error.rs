//! The errors of metrics.

use regraft_tensor::Detail;

/// What can be wrong with a metric or the batch given to it.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Targets, predictions and weights whose sizes do not go together, or do not suit the metric.
    #[error("shapes do not fit: {0}")]
    Shape(Detail),
    /// Targets of the wrong kind, or a class outside the predictions' classes.
    #[error("targets do not fit: {0}")]
    Target(Detail),
    /// A setting outside what the metric allows.
    #[error("invalid setting of a metric: {0}")]
    Argument(Detail),
    /// No metric of that name.
    #[error("unknown metric: {0}")]
    Unknown(Detail),
    /// What a user's own metric reports.
    #[error("{0}")]
    Other(Detail),
}

regraft_tensor::debug_prints_the_message!(Error);

impl Error {
    /// The four parts of the message.
    pub fn detail(&self) -> &Detail {
        match self {
            Error::Shape(detail)
            | Error::Target(detail)
            | Error::Argument(detail)
            | Error::Unknown(detail)
            | Error::Other(detail) => detail,
        }
    }

    /// What was wrong.
    pub(crate) fn into_detail(self) -> Detail {
        match self {
            Error::Shape(detail)
            | Error::Target(detail)
            | Error::Argument(detail)
            | Error::Unknown(detail)
            | Error::Other(detail) => detail,
        }
    }
}

impl From<Error> for Detail {
    fn from(error: Error) -> Self {
        error.into_detail()
    }
}

/// A result of a metric.
pub type Result<T, E = Error> = std::result::Result<T, E>;
