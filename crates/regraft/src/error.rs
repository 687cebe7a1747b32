//! The errors of training, loading and saving.

use regraft_tensor::Detail;

/// The errors of this crate; those of the crates below pass through as they are.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Data that do not fit the model, the loss or each other.
    #[error("the data do not fit: {0}")]
    Data(Detail),
    /// A setting of `fit`, `compile` or a callback that has no meaning.
    #[error("invalid setting: {0}")]
    Setting(Detail),
    /// A model that is not ready for what was asked.
    #[error("the model is not ready: {0}")]
    Model(Detail),
    /// A file whose tensors do not fit the model. The model is unchanged.
    #[error("the file does not fit the model: {0}")]
    Load(Box<crate::LoadError>),
    /// Reading or writing a file that is not a model's.
    #[error("cannot read or write: {0}")]
    File(Detail),
    /// A loss that is no number any more.
    #[error("training has diverged: {0}")]
    Diverged(Detail),
    /// From the layers.
    #[error(transparent)]
    Layers(#[from] regraft_layers::Error),
    /// From the data-flow graph.
    #[error(transparent)]
    Graph(#[from] regraft_autograd::Error),
    /// From the optimizer.
    #[error(transparent)]
    Optimizer(#[from] regraft_optimizers::Error),
    /// From a metric.
    #[error(transparent)]
    Metric(#[from] crate::metrics::Error),
    /// From reading or checking data.
    #[error(transparent)]
    Dataset(#[from] regraft_data::Error),
    /// From a store of features.
    #[error(transparent)]
    Features(#[from] regraft_features::Error),
    /// From reading or writing a model's file.
    #[error(transparent)]
    Io(#[from] regraft_io::Error),
    /// From solving a head.
    #[cfg(feature = "heads")]
    #[error(transparent)]
    Heads(#[from] regraft_heads::Error),
}

regraft_tensor::debug_prints_the_message!(Error);

impl Error {
    /// The four parts of the message; none of [`Error::Load`], which lists tensors.
    pub fn detail(&self) -> Option<&Detail> {
        Some(match self {
            Error::Data(detail)
            | Error::Setting(detail)
            | Error::Model(detail)
            | Error::File(detail)
            | Error::Diverged(detail) => detail,
            Error::Load(_) => return None,
            Error::Layers(error) => error.detail(),
            Error::Graph(error) => error.detail(),
            Error::Optimizer(error) => error.detail(),
            Error::Metric(error) => error.detail(),
            Error::Dataset(error) => error.detail(),
            Error::Features(error) => error.detail(),
            Error::Io(error) => error.detail(),
            #[cfg(feature = "heads")]
            Error::Heads(error) => error.detail(),
        })
    }
}

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
