//! Settings that are functions: [`Activation`], [`Initializer`], [`Regularizer`], [`Constraint`].
//! Each is given by its Keras name or as a value of its own type, and shared where it is used.

use std::sync::Arc;

use regraft_autograd::Var;
use regraft_tensor::kernels::random::Key;
use regraft_tensor::{Detail, Tensor};
use serde_json::Value;

use crate::Configured;
use crate::settings::{FromSettings, Map, Settings};

/// A function from activations to activations.
pub trait ActivationFunction: Configured {
    /// The value of the graph that this function makes of `x`.
    fn apply<'g>(&self, x: Var<'g>) -> Var<'g>;
}

/// A rule for the first values of a weight.
pub trait InitializerFunction: Configured {
    /// Values for a weight of `shape`, the same for the same `key`.
    ///
    /// # Errors
    /// If the rule has no meaning for this shape.
    fn initialize(&self, shape: &[usize], key: Key) -> Result<Tensor, Detail>;
}

/// A penalty on a weight, added to the loss while the weight is trained.
pub trait RegularizerFunction: Configured {
    /// The penalty as a number of the graph.
    fn penalty<'g>(&self, weight: Var<'g>) -> Var<'g>;
}

/// What holds for a weight after each update.
pub trait ConstraintFunction: Configured {
    /// Changes the weight so that the constraint holds.
    ///
    /// # Errors
    /// If the constraint has no meaning for a weight of this shape; the weight is as it was.
    fn constrain(&self, weight: &mut Tensor) -> Result<(), Detail>;
}

/// Defines the handle of a kind of function: shared, made from a value or from a name. A wrong name
/// is kept and reported, with the place where it was used, when the model is built.
macro_rules! handle {
    ($(#[$documentation:meta])* $handle:ident, $function:ident, $by_name:path, $serialize:path, $of_all:expr) => {
        $(#[$documentation])*
        #[derive(Clone, Debug)]
        pub struct $handle(Result<Arc<dyn $function>, Detail>);

        impl $handle {
            /// Shares `function`. A setting that has no meaning is reported by
            /// [`get`](Self::get), and so when a model with it is built.
            pub fn new(function: impl $function) -> Self {
                $handle(function.check().map(|()| Arc::new(function) as _))
            }

            /// From what [`serialize`](Self::serialize) gives: a name, or a class with settings.
            ///
            /// # Errors
            /// A name that is not known, or settings that have no meaning.
            pub fn deserialize(value: &Value) -> Result<Self, Detail> {
                let (name, config) = name_and_config(stringify!($handle), value)?;
                $by_name(name, config.unwrap_or(&Map::new()))
            }

            /// What the tables of names are made of.
            pub(crate) fn make<F: $function + FromSettings>(
                settings: &Settings<'_>,
            ) -> Result<Self, Detail> {
                Self::make_by(F::from_settings, settings)
            }

            /// What `make` makes of the settings, less those that files have of all functions.
            pub(crate) fn make_by<F: $function>(
                make: impl FnOnce(&Settings<'_>) -> Result<F, Detail>,
                settings: &Settings<'_>,
            ) -> Result<Self, Detail> {
                settings.ignore($of_all);
                let function = make(settings)?;
                function.check()?;
                Ok($handle::new(function))
            }

            /// The function, or what was wrong with its name or settings.
            ///
            /// # Errors
            /// The name that is not known, or the setting that has no meaning.
            pub fn get(&self) -> Result<&dyn $function, Detail> {
                self.0.as_deref().map_err(Clone::clone)
            }

            /// As Keras serializes it: the class name and the settings, or for an activation
            /// without settings its name alone.
            pub fn serialize(&self) -> Value {
                self.0.as_deref().map_or(Value::Null, |function| $serialize(function))
            }
        }

        impl<F: $function> From<F> for $handle {
            fn from(function: F) -> Self {
                $handle::new(function)
            }
        }

        impl From<&str> for $handle {
            /// By Keras' name; an unknown one is reported when the model is built.
            fn from(name: &str) -> Self {
                $by_name(name, &Map::new()).unwrap_or_else(|detail| $handle(Err(detail)))
            }
        }
    };
}

/// A name and settings, if there are any.
pub(crate) type NameAndConfig<'v> = (&'v str, Option<&'v Map>);

/// The parts of a serialized function: `"relu"`, `{"class_name": "L2", "config": {…}}`, or as Keras
/// writes a plain Python function, `{"class_name": "function", "config": "relu"}`.
pub(crate) fn name_and_config<'v>(
    kind: &str,
    value: &'v Value,
) -> Result<NameAndConfig<'v>, Detail> {
    let name = value.as_str().or_else(|| value["class_name"].as_str());
    match (name, &value["config"]) {
        (Some("function"), Value::String(name)) => Ok((name, None)),
        (Some(name), Value::Object(config)) => Ok((name, Some(config))),
        (Some(name), Value::Null) => Ok((name, None)),
        _ => Err(Detail::new(
            kind,
            "a name, or \"class_name\" and \"config\"",
            value,
        )),
    }
}

fn class_and_config<F: Configured + ?Sized>(function: &F) -> Value {
    let class = function.class();
    serde_json::json!({
        "module": class.module,
        "class_name": class.name,
        "config": function.config(),
        "registered_name": class.registered_name(),
    })
}

fn name_or_config<F: Configured + ?Sized>(function: &F) -> Value {
    match function.config().is_empty() {
        true => function.class_name().into(),
        false => class_and_config(function),
    }
}

handle!(
    /// An activation: given by name (`"relu"`) or as a value (`Relu { … }`).
    Activation, ActivationFunction, crate::activations::from_config, name_or_config,
    // Where the activation is written as a layer.
    &["name", "trainable", "dtype"]
);
handle!(
    /// An initializer: given by name (`"he_normal"`) or as a value (`HeNormal`).
    Initializer, InitializerFunction, crate::initializers::from_config, class_and_config, &[]
);
handle!(
    /// A regularizer: given by name (`"l2"`) or as a value (`L2(1e-4)`).
    Regularizer, RegularizerFunction, crate::regularizers::from_config, class_and_config, &[]
);
handle!(
    /// A constraint: given by name (`"non_neg"`) or as a value (`NonNeg`).
    Constraint, ConstraintFunction, crate::constraints::from_config, class_and_config, &[]
);

impl Regularizer {
    /// The penalty on `weight`; none if the name was wrong (which building the model reports).
    pub(crate) fn penalty<'g>(&self, weight: Var<'g>) -> Var<'g> {
        match &self.0 {
            Ok(function) => function.penalty(weight),
            Err(_) => weight.graph().number(0.0),
        }
    }
}

impl Activation {
    /// Applies it to `x`; a wrong name is reported by the graph.
    pub fn apply<'g>(&self, x: Var<'g>) -> Var<'g> {
        match &self.0 {
            Ok(function) => function.apply(x),
            Err(detail) => {
                x.graph()
                    .fail(regraft_autograd::Error::Shape(detail.clone()));
                x
            }
        }
    }
}
