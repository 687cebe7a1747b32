//! The errors of this crate.

use std::path::Path;

use regraft_tensor::Detail;

/// The errors of this crate; those of the crates below pass through as they are.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Pictures that nothing can be learnt from.
    #[error("these pictures do not make a classifier: {0}")]
    Pictures(Detail),
    /// A setting that has no meaning.
    #[error("invalid setting: {0}")]
    Setting(Detail),
    /// A network that gives no features.
    #[error("this is no backbone: {0}")]
    Backbone(Detail),
    /// A folder that this crate has not written, or not this version of it.
    #[error("this is no classifier: {0}")]
    Classifier(Detail),
    /// What is there already and nobody said to replace.
    #[error("nothing was overwritten: {0}")]
    Exists(Detail),
    /// Reading or writing failed.
    #[error("cannot read or write: {0}")]
    File(Detail),
    /// The observer asked to stop. What was finished is kept.
    #[error("stopped; the same command goes on where it was")]
    Cancelled,
    /// From the pictures.
    #[error(transparent)]
    Images(#[from] regraft_images::Error),
    /// From the heads.
    #[error(transparent)]
    Heads(#[from] regraft_heads::Error),
    /// From the features that are kept.
    #[error(transparent)]
    Features(#[from] regraft_features::Error),
    /// From the network.
    #[error(transparent)]
    Regraft(#[from] regraft::Error),
}

regraft_tensor::debug_prints_the_message!(Error);

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The four parts, of an error that has them.
    pub fn detail(&self) -> Option<&Detail> {
        match self {
            Error::Pictures(detail)
            | Error::Setting(detail)
            | Error::Backbone(detail)
            | Error::Classifier(detail)
            | Error::Exists(detail)
            | Error::File(detail) => Some(detail),
            Error::Images(error) => Some(error.detail()),
            Error::Heads(error) => Some(error.detail()),
            Error::Features(error) => of_features(error),
            Error::Regraft(error) => error.detail(),
            Error::Cancelled => None,
        }
    }
}

fn of_features(error: &regraft_features::Error) -> Option<&Detail> {
    use regraft_features::Error;
    match error {
        Error::Read(detail)
        | Error::Write(detail)
        | Error::Full(detail)
        | Error::Budget(detail)
        | Error::Busy(detail)
        | Error::Row(detail) => Some(detail),
        _ => None,
    }
}

/// What an operating system says of a path.
pub(crate) fn io(path: &Path, expected: &str, error: &std::io::Error) -> Error {
    let detail = Detail::new(path.display().to_string(), expected, error);
    let help = match error.kind() {
        std::io::ErrorKind::StorageFull => {
            "make room, then give the same command again: what was finished is kept"
        }
        std::io::ErrorKind::PermissionDenied => {
            "ask who owns it for the permission, or take another path"
        }
        std::io::ErrorKind::NotFound => "look at how the path is spelled",
        _ => "",
    };
    Error::File(detail.help(help))
}
