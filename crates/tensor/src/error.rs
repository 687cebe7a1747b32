//! What went wrong, in the four parts that every error of Regraft has: where it happened, what was
//! expected there, what was received, and what the reader can do about it.

use std::fmt;

/// Implements [`Debug`](fmt::Debug) as [`Display`](fmt::Display): a `main` that returns an error, and
/// `unwrap`, print what `Debug` gives, and people shall read the message there.
#[macro_export]
macro_rules! debug_prints_the_message {
    ($error:ty) => {
        impl ::std::fmt::Debug for $error {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Display::fmt(self, f)
            }
        }
    };
}

/// The four parts of an error message.
///
/// It prints as `where: expected …, received …. Help: …`, leaving out what is empty.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Detail {
    /// Where: a layer path, a file, a tensor's name, a sample's number.
    pub at: String,
    /// What would have been right.
    pub expected: String,
    /// What was there instead.
    pub received: String,
    /// What the reader can do.
    pub help: String,
}

impl Detail {
    /// An error at `at`, where `expected` would have been right and `received` was found.
    pub fn new(
        at: impl Into<String>,
        expected: impl fmt::Display,
        received: impl fmt::Display,
    ) -> Self {
        Detail {
            at: at.into(),
            expected: expected.to_string(),
            received: received.to_string(),
            help: String::new(),
        }
    }

    /// Adds what the reader can do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }

    /// Puts `prefix` in front of the place, as in `prefix/place`.
    #[must_use]
    pub fn within(mut self, prefix: &str) -> Self {
        self.at = if self.at.is_empty() {
            prefix.to_string()
        } else {
            format!("{prefix}/{}", self.at)
        };
        self
    }
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.at.is_empty() {
            write!(f, "{}: ", self.at)?;
        }
        write!(f, "expected {}", self.expected)?;
        if !self.received.is_empty() {
            write!(f, ", received {}", self.received)?;
        }
        if !self.help.is_empty() {
            write!(f, ". Help: {}", self.help)?;
        }
        Ok(())
    }
}

debug_prints_the_message!(Detail);

impl std::error::Error for Detail {}

/// The errors of this crate.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Sizes that do not go together.
    #[error("shapes do not fit: {0}")]
    Shape(Detail),
    /// An index outside the axis it points into.
    #[error("index out of range: {0}")]
    Index(Detail),
}

debug_prints_the_message!(Error);

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl From<Error> for Detail {
    fn from(error: Error) -> Self {
        match error {
            Error::Shape(detail) | Error::Index(detail) => detail,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_unwrap_and_main_print_is_the_message() {
        let detail = Detail::new("dense/kernel", "shape [3]", "[4]").help("transpose it");
        let message = "dense/kernel: expected shape [3], received [4]. Help: transpose it";
        assert_eq!(format!("{detail:?}"), message);
        let error = Error::Shape(detail);
        assert_eq!(
            format!("{error:?}"),
            format!("shapes do not fit: {message}")
        );
    }
}
