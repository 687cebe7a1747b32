//! What a layer, an op, a loss, a metric, a callback, an update rule of your own is written with:
//! `use regraft::extend::*;` beside the [prelude](crate::prelude), and no other crate.
//!
//! | of your own | implements | and is used |
//! |---|---|---|
//! | a layer | [`Configured`] and [`Layer`] | as any layer; opened from files once it is in a [`Registry`] |
//! | an op with its gradient | [`Op`] | by [`Graph::apply`]; checked by [`gradcheck`] |
//! | a loss | [`Configured`] and [`Loss`] | by [`LossFunction::new`] |
//! | an activation, initializer, regularizer, constraint | [`Configured`] and [`ActivationFunction`], [`InitializerFunction`], [`RegularizerFunction`], [`ConstraintFunction`] | by [`Activation::new`], [`Initializer::new`], … |
//! | a metric | [`Configured`] and [`Metric`] | in `compile`; as all of these opened from files once it is in a [`Registry`] |
//! | a callback | [`Callback`] | in [`Fit::callback`](crate::Fit::callback) |
//! | an update rule, a schedule | [`Configured`] and [`UpdateRule`], [`Schedule`] | by [`Optimizer::builder`]; a schedule where a learning rate is expected |
//!
//! Settings of any of these are declared once with [`settings!`]: fields, setters, and both directions of the configuration in a file follow. The example `extend` has one of
//! each in a single file.
//!
//! ```
//! use regraft::extend::*;
//! use regraft::prelude::*;
//!
//! /// y = x · scale, with one scale per feature.
//! #[derive(Debug)]
//! struct Scale;
//!
//! impl Configured for Scale {}
//!
//! impl Layer for Scale {
//!     fn build(&self, inputs: &[Shape], weights: &mut Weights) -> Result<(), Detail> {
//!         let features = inputs[0].sample().unwrap_or_default();
//!         weights.parameter("scale", features, &Initializer::ones());
//!         Ok(())
//!     }
//!     fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
//!         inputs[0] * call.weight("scale")
//!     }
//! }
//!
//! let mut model = Sequential::new(layers![Input::new([4]), Scale, Dense::new(2)])?;
//! model.freeze("scale")?;
//! assert_eq!(model.count_parameters().frozen, 4);
//! # Ok::<(), regraft::Error>(())
//! ```

pub use regraft_autograd::{
    Attributes, DataType, Dim, Error as GraphError, Feed, Forward, Gradient, Graph, NodeId, Nodes,
    Op, Operand, Output, Program, Run, Shape, Source, Var, VariableId, Variables, Workspace,
    attributes, gradcheck, ops, passes,
};
pub use regraft_layers::losses::Link;
pub use regraft_layers::settings::Settings;
pub use regraft_layers::{
    Activation, ActivationFunction, Call, Class, Configured, Constraint, ConstraintFunction,
    Emission, Flow, FromSettings, Initializer, InitializerFunction, IntoSetting, Layer, LayerInfo,
    LayerKey, LayerSpec, Loss, LossFunction, Mode, OverTime, ParameterCount, Reduction,
    Regularizer, RegularizerFunction, Sequence, Setting, Summary, Weight, WeightAxis, WeightKind,
    WeightRegularizer, WeightSpec, WeightStore, Weights, near, settings,
};
pub use regraft_optimizers::{
    IntoOptimizer, LearningRate, Optimizer, ParameterInfo, ParameterSource, ParameterUpdate, Plan,
    Schedule, Slot, Step, UpdateRule,
};
pub use regraft_tensor::kernels::random::Key;
pub use regraft_tensor::{Detail, IntTensor};
pub use serde_json::{Map, Value, json};

pub use crate::metrics::{Batch, Direction, Metric, Targets};
pub use crate::registry::Registry;
pub use crate::training::callbacks::{Callback, CallbackState, Context};
