#![doc = include_str!("../README.md")]

pub mod applications;
mod batches;
pub mod callbacks;
mod classification;
mod compiled_metrics;
#[cfg(feature = "plot")]
pub mod curves;
mod error;
mod evaluate;
pub mod extend;
mod feature_cache;
mod feeds;
mod fit;
pub mod history;
mod input;
mod keras2;
mod keys;
mod layout;
mod load;
mod load_report;
mod matching;
pub mod metrics;
mod name_map;
mod named;
mod objective;
mod open;
mod optimizer_state;
pub mod parity;
mod plan;
mod predict;
pub mod prelude;
mod prepare;
pub mod progress;
mod registry;
mod reparametrized;
mod save;
mod session;
mod shared;
mod sizes;
mod steps;
mod surgery;
mod trainable;
mod unoptimised;
mod vocabularies;

pub use callbacks::{Callback, Context};
pub use error::{Error, Result};
pub use evaluate::Scores;
pub use feature_cache::FeatureCache;
pub use fit::Fit;
pub use history::History;
pub use input::{Data, IntoData, IntoInputs};
pub use layout::Layout;
pub use load::Load;
pub use load_report::{LoadError, LoadReport, Loaded, Mismatched, OptimizerState};
pub use plan::{PlannedLayer, Runs, TrainingPlan};
pub use progress::Verbosity;
pub use registry::Registry;
pub use trainable::{Model, Network, Sequential, Trainable};

pub use ndarray;
pub use regraft_io as io;
pub use regraft_layers::{
    Freezing, Functional, IntoSelector, LayerOutput, Selector, activations, constraints,
    initializers, losses, regularizers,
};
pub use regraft_optimizers as optimizers;
pub use regraft_tensor::Tensor;

/// Layers, and what models are made of.
pub mod layers {
    pub use regraft_layers::layers;
    pub use regraft_layers::layers::*;
    pub use regraft_layers::{
        Call, Flow, Functional, Layer, LayerExt, LayerOutput, LayerSpec, WeightAxis, Weights,
    };

    pub use crate::registry::Registry;
}

/// Reading and splitting data.
pub mod data {
    pub use regraft_data::*;

    pub use crate::input::{Data, Element, IntoData, IntoInputs};
}

/// Random numbers that depend on nothing but their key: the same on any number of threads.
pub mod random {
    pub use regraft_tensor::kernels::random::{Key, normal, permutation, uniform};
}

/// The code in the pages of the repository, compiled with the tests.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../../README.md")]
    struct Readme;

    #[doc = include_str!("../../../docs/keras-users.md")]
    struct KerasUsers;
}
