#![doc = include_str!("../README.md")]

#[macro_use]
pub mod settings;

pub mod activations;
mod axis;
mod build;
mod call;
mod class;
mod config;
pub mod constraints;
mod digest;
mod element_order;
mod element_type;
mod emit;
mod error;
mod flow;
mod formulas;
mod freeze;
mod freezing;
mod functional;
#[cfg(test)]
mod golden;
mod handle;
mod info;
pub mod initializers;
mod layer;
pub mod layers;
pub mod losses;
mod masks;
mod model;
mod names;
mod penalties;
mod places;
mod registry;
pub mod regularizers;
mod replace;
mod revision;
mod selector;
mod sequential;
mod shared;
mod strings;
mod structure;
mod summary;
mod surgery;
mod table;
mod topology;
mod trained_weights;
mod weight;

pub use call::{Call, Emission, Mode};
pub use class::Class;
pub use element_order::{ElementOrder, LayerOrders, RowOrder};
pub use element_type::ElementType;
pub use error::{Error, Result};
pub use flow::Flow;
pub use freezing::Freezing;
pub use functional::{Functional, LayerOutput};
pub use handle::{
    Activation, ActivationFunction, Configured, Constraint, ConstraintFunction, Initializer,
    InitializerFunction, Regularizer, RegularizerFunction,
};
pub use info::{LayerInfo, LayerKey};
pub use layer::{Layer, LayerExt, LayerSpec};
pub use layers::{ActivationLayer, Dense, Input};
pub use losses::{Loss, LossFunction, Reduction};
pub use model::{Model, ParameterCount};
pub use names::{near, snake_case};
pub use penalties::WeightRegularizer;
pub use places::Place;
pub use registry::Registry;
pub use selector::{IntoSelector, Selector};
pub use sequential::Sequential;
pub use settings::{FromSettings, IntoSetting, Setting};
pub use structure::Ends;
pub use summary::Summary;
pub use trained_weights::{Trained, TrainedWeights};
pub use weight::{Weight, WeightAxis, WeightKind, WeightSpec, WeightStore, Weights};
