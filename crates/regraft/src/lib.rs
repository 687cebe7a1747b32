#![doc = include_str!("../README.md")]

pub mod applications;
mod error;
pub mod explain;
pub mod extend;
mod files;
pub mod fine_tuning;
#[cfg(feature = "heads")]
pub mod heads;
pub mod metrics;
mod model;
pub mod parity;
mod predictor;
pub mod prelude;
mod registry;
mod sequential;
mod training;

pub use error::{Error, Result};
pub use files::adapters::{AdapterReport, LoadAdapter};
pub use files::inspection::{InspectedTensor, Inspection, Role, inspect};
pub use files::layout::Layout;
pub use files::load::Load;
pub use files::load_report::{LoadError, LoadReport, Loaded, Mismatched, OptimizerState};
pub use model::{Functional, Model};
pub use predictor::Predictor;
pub use registry::Registry;
pub use regraft_autograd::{Because, Division};
pub use regraft_features::FeatureStore;
pub use sequential::Sequential;
pub use training::callbacks::{Callback, Context};
#[cfg(feature = "plot")]
pub use training::curves;
pub use training::distillation::Distillation;
pub use training::extracted::Extracted;
pub use training::feature_cache::FeatureCache;
pub use training::frozen_precision::{FrozenPrecision, Similarity};
pub use training::history::History;
pub use training::input::{Data, IntoData, IntoInputs};
pub use training::options::Fit;
pub use training::plan::{PlannedLayer, Runs, TrainingPlan};
pub use training::progress::Verbosity;
pub use training::scores::Scores;
pub use training::train_step::TrainStep;
pub use training::{callbacks, history, progress, train_step};

pub use ndarray;
pub use regraft_features as features;
#[cfg(feature = "images")]
pub use regraft_images as images;
pub use regraft_io as io;
pub use regraft_layers::{
    Freezing, IntoSelector, LayerOutput, Selector, activations, adapters, constraints,
    initializers, losses, regularizers, settings,
};
pub use regraft_optimizers as optimizers;
#[cfg(feature = "report")]
pub use regraft_report as report;
pub use regraft_tensor::Tensor;
pub use regraft_tensor::kernels::isa::set_exact_mode;
#[cfg(feature = "text")]
pub use regraft_text as text;

/// Layers, and what models are made of.
pub mod layers {
    pub use regraft_layers::layers;
    pub use regraft_layers::layers::*;
    pub use regraft_layers::{
        Call, Flow, Layer, LayerExt, LayerOutput, LayerSpec, WeightAxis, Weights,
    };

    pub use crate::model::Functional;
    pub use crate::registry::Registry;
}

/// Reading and splitting data.
pub mod data {
    pub use regraft_data::*;

    pub use crate::training::arrays::Arrays;
    pub use crate::training::input::{Data, Element, IntoData, IntoInputs};
    pub use crate::training::read_batch::read_batch;
    pub use crate::training::samples::batches;
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

    #[doc = include_str!("../../../docs/augmentation.md")]
    struct Augmentation;

    #[doc = include_str!("../../../docs/fine-tuning.md")]
    struct FineTuning;

    #[doc = include_str!("../../../docs/fastai-timm-peft-users.md")]
    struct FastaiTimmPeftUsers;

    #[cfg(feature = "heads")]
    #[doc = include_str!("../../../docs/heads.md")]
    struct Heads;

    #[cfg(all(feature = "heads", feature = "text"))]
    #[doc = include_str!("../../../docs/text.md")]
    struct Text;
}
