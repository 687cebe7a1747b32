//! The errors of this crate, each with where / expected / received / what to do.

use regraft_tensor::Detail;

/// What can be wrong with the samples of a head, or with what it is asked.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Features that no head can be solved on: none, not finite, all alike, or of another width.
    #[error("unusable features: {0}")]
    Features(Detail),
    /// Class labels outside the classes, of another number than the samples, or of a single class.
    #[error("unusable labels: {0}")]
    Labels(Detail),
    /// Groups that do not say which samples belong together, or that leave nothing to learn from.
    #[error("unusable groups: {0}")]
    Groups(Detail),
    /// A setting outside what it may be.
    #[error("invalid setting: {0}")]
    Setting(Detail),
    /// Rounding errors have taken over: nothing that was tried gives finite numbers.
    #[error("no solution in finite numbers: {0}")]
    Rounding(Detail),
    /// More memory would be needed than is taken without asking.
    #[error("too large: {0}")]
    Memory(Detail),
    /// A file that cannot be written.
    #[error("cannot write: {0}")]
    File(Detail),
}

regraft_tensor::debug_prints_the_message!(Error);

impl Error {
    /// The four parts of the message.
    pub fn detail(&self) -> &Detail {
        match self {
            Error::Features(detail)
            | Error::Labels(detail)
            | Error::Groups(detail)
            | Error::Setting(detail)
            | Error::Rounding(detail)
            | Error::Memory(detail)
            | Error::File(detail) => detail,
        }
    }

    /// Nothing gives numbers.
    pub(crate) fn no_number(received: String) -> Self {
        Error::Rounding(
            Detail::new("solution", "weights and left-out scores that are finite", received).help(
                "let a stronger regularisation be tried, or leave the setting away; look for features of vastly different \
                 sizes",
            ),
        )
    }
}

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
