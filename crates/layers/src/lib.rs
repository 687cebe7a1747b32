#![doc = include_str!("../README.md")]

pub mod activations;
mod call;
pub mod constraints;
mod error;
mod formulas;
mod freezing;
#[cfg(test)]
mod golden;
mod handle;
pub mod initializers;
mod layer;
pub mod layers;
pub mod losses;
mod model;
mod names;
mod places;
pub mod regularizers;
mod selector;
mod sequential;
mod settings;
mod weight;

pub use call::{Call, Emission, Mode};
pub use error::{Error, Result};
pub use freezing::Freezing;
pub use handle::{
    Activation, ActivationFunction, Configured, Constraint, ConstraintFunction, Initializer,
    InitializerFunction, Regularizer, RegularizerFunction,
};
pub use layer::{Layer, LayerExt, LayerSpec};
pub use layers::{ActivationLayer, Dense, Input};
pub use losses::Loss;
pub use model::{Model, ParameterCount};
pub use names::{near, snake_case};
pub use places::Place;
pub use selector::{LayerInfo, Selector};
pub use sequential::Sequential;
pub use weight::{Weight, WeightKind, WeightSpec, WeightStore, Weights};
