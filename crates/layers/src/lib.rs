#![doc = include_str!("../README.md")]

#[macro_use]
pub mod settings;

pub mod activations;
pub mod adapters;
pub mod constraints;
mod contract;
mod error;
mod formulas;
#[cfg(test)]
mod golden;
pub mod initializers;
mod keras;
pub mod layers;
pub mod losses;
mod models;
pub mod regularizers;

pub use contract::call::Call;
pub use contract::element_type::ElementType;
pub use contract::emission::{Emission, Mode};
pub use contract::flow::Flow;
pub use contract::freezing::Freezing;
pub use contract::handle::{
    Activation, ActivationFunction, Constraint, ConstraintFunction, Initializer,
    InitializerFunction, Regularizer, RegularizerFunction,
};
pub use contract::layer::{Layer, LayerExt, LayerSpec};
pub use contract::over_time::{OverTime, Sequence};
pub use contract::weight::{Weight, WeightAxis, WeightKind, WeightSpec, WeightStore, Weights};
pub use error::{Error, Result};
pub use keras::names::{near, snake_case};
pub use keras::registry::Registry;
pub use layers::{ActivationLayer, Dense, Input};
pub use losses::{Loss, LossFunction, Reduction};
pub use models::element_order::{ElementOrder, LayerOrders, RowOrder};
pub use models::ends::{Ends, LayerOutput};
pub use models::functional::{Functional, FunctionalBuilder};
pub use models::info::{LayerInfo, LayerKey};
pub use models::into_selector::IntoSelector;
pub use models::model::{Model, ParameterCount};
pub use models::penalties::WeightRegularizer;
pub use models::places::Place;
pub use models::selector::Selector;
pub use models::sequential::Sequential;
pub use models::summary::Summary;
pub use models::trained_weights::{Trained, TrainedWeights};
pub use regraft_settings::{Class, Configured};
#[doc(hidden)]
pub use settings::declare_settings;
pub use settings::{FromSettings, IntoSetting, Setting};
