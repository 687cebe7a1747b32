//! Transfer learning: load what was trained anywhere, freeze it, graft a head, train only that.

mod batches;
mod callbacks;
#[cfg(feature = "plot")]
pub mod curves;
mod data;
mod error;
mod evaluate;
mod feeds;
mod fit;
pub mod history;
mod load;
mod load_report;
pub mod metrics;
mod optimizer_state;
mod predict;
mod prepare;
pub mod progress;
mod save;
mod steps;
mod trainable;

pub use callbacks::{Callback, Context};
pub use data::{Data, Element, IntoData, IntoInputs};
pub use error::{Error, Result};
pub use evaluate::Scores;
pub use fit::{FeatureCache, Fit};
pub use history::History;
pub use load::Load;
pub use load_report::{LoadError, LoadReport, Loaded, Mismatched, OptimizerState};
pub use progress::Verbosity;
pub use trainable::{IntoLoss, Model, Network, Sequential, Trainable};

pub use ndarray;
pub use regraft_layers::{Freezing, Selector, activations, initializers, losses, regularizers};
pub use regraft_optimizers as optimizers;

/// Layers, and what models are made of.
pub mod layers {
    pub use regraft_layers::layers;
    pub use regraft_layers::layers::*;
    pub use regraft_layers::{Call, Layer, LayerExt, LayerSpec, Weights};
}
