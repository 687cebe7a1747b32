//! What files can bring back: the built-in classes, and those of a user's own crate.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use regraft_layers::settings::Settings;
use regraft_layers::{
    ActivationFunction, ConstraintFunction, InitializerFunction, Layer, Loss, RegularizerFunction,
};
use regraft_optimizers::{Error as OptimizerError, Optimizer, Schedule, UpdateRule};
use regraft_tensor::Detail;
use serde_json::{Map, Value};

use crate::metrics::{self, Metric};

type Constructor<T> = Arc<dyn Fn(&Settings<'_>) -> Result<T, Detail> + Send + Sync>;

/// Every class that a file may name: all built-in ones, and those of your own once they are
/// registered: layers ([`register`](Self::register)), losses, metrics, optimizers, schedules,
/// activations, initializers, regularizers and constraints. [`open_with`](crate::Model::open_with)
/// takes it.
///
/// A constructor gets the [`Settings`] that the class gave as its `config`: of one that is declared with
/// [`settings!`](crate::settings!) it is `Mine::from_settings`. The registry dereferences to the registry
/// of [`regraft_layers`].
///
/// ```
/// use regraft::Registry;
/// use regraft::extend::Configured;
/// use regraft::metrics::{Batch, Metric, Result};
///
/// /// How many samples there were.
/// #[derive(Clone, Debug, Default)]
/// struct Samples(usize);
///
/// impl Configured for Samples {}
///
/// impl Metric for Samples {
///     fn name(&self) -> &str {
///         "samples"
///     }
///     fn reset(&mut self) {
///         self.0 = 0;
///     }
///     fn update(&mut self, batch: &Batch<'_>) -> Result<()> {
///         self.0 += batch.samples();
///         Ok(())
///     }
///     fn result(&self) -> f64 {
///         self.0 as f64
///     }
/// }
///
/// let mut registry = Registry::new();
/// registry.register_metric("Samples", |_| Ok(Samples::default()));
/// let metric = registry.metric(&Samples(7).serialize())?;
/// assert_eq!(metric.name(), "samples");
/// # Ok::<(), regraft::metrics::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Registry {
    layers: regraft_layers::Registry,
    metrics: BTreeMap<String, Constructor<Box<dyn Metric>>>,
    optimizers: BTreeMap<String, Constructor<Arc<dyn UpdateRule>>>,
    schedules: BTreeMap<String, Constructor<Arc<dyn Schedule>>>,
}

/// Passes a registration on, so that calls of all kinds can follow each other.
macro_rules! of_layers {
    ($($kind:literal $register:ident $function:ident,)*) => {
        $(
            #[doc = concat!("Adds ", $kind, " of your own, or takes the place of the one of that name.")]
            pub fn $register<F: $function>(
                &mut self,
                class_name: impl Into<String>,
                constructor: impl Fn(&Settings<'_>) -> Result<F, Detail> + Send + Sync + 'static,
            ) -> &mut Self {
                self.layers.$register(class_name, constructor);
                self
            }
        )*
    };
}

impl Registry {
    /// The built-in classes.
    pub fn new() -> Self {
        Self::default()
    }

    of_layers! {
        "a layer" register Layer,
        "a loss" register_loss Loss,
        "an activation" register_activation ActivationFunction,
        "an initializer" register_initializer InitializerFunction,
        "a regularizer" register_regularizer RegularizerFunction,
        "a constraint" register_constraint ConstraintFunction,
    }

    /// Adds a metric of your own, or takes the place of the one of that name: the name of the class, or
    /// the one that was given in place of a value. The settings come without `name` and `dtype`.
    pub fn register_metric<M: Metric>(
        &mut self,
        class_name: impl Into<String>,
        constructor: impl Fn(&Settings<'_>) -> Result<M, Detail> + Send + Sync + 'static,
    ) -> &mut Self {
        let constructor: Constructor<Box<dyn Metric>> =
            Arc::new(move |config| Ok(Box::new(constructor(config)?)));
        self.metrics.insert(class_name.into(), constructor);
        self
    }

    /// Adds the update rule of an optimizer of your own. The settings come without those that all
    /// optimizers have (`learning_rate`, `weight_decay`, …).
    pub fn register_optimizer<R: UpdateRule>(
        &mut self,
        class_name: impl Into<String>,
        constructor: impl Fn(&Settings<'_>) -> Result<R, Detail> + Send + Sync + 'static,
    ) -> &mut Self {
        let constructor: Constructor<Arc<dyn UpdateRule>> =
            Arc::new(move |config| Ok(Arc::new(constructor(config)?)));
        self.optimizers.insert(class_name.into(), constructor);
        self
    }

    /// Adds a learning-rate schedule of your own.
    pub fn register_schedule<S: Schedule>(
        &mut self,
        class_name: impl Into<String>,
        constructor: impl Fn(&Settings<'_>) -> Result<S, Detail> + Send + Sync + 'static,
    ) -> &mut Self {
        let constructor: Constructor<Arc<dyn Schedule>> =
            Arc::new(move |config| Ok(Arc::new(constructor(config)?)));
        self.schedules.insert(class_name.into(), constructor);
        self
    }

    /// What a file's configuration of a metric means.
    ///
    /// # Errors
    /// As [`metrics::from_config`]; what is not known says how to register it.
    pub fn metric(&self, value: &Value) -> metrics::Result<Box<dyn Metric>> {
        let own = |class: &str, config: &Map<String, Value>| {
            let made = self.metrics.get(class)?(&Settings::new(class, config));
            Some(made.map_err(metrics::Error::Argument))
        };
        metrics::from_config_with(value, &own).map_err(|error| match error {
            metrics::Error::Unknown(detail) => {
                metrics::Error::Unknown(how_to_register(detail, "metric"))
            }
            error => error,
        })
    }

    /// What a file's configuration of an optimizer means.
    ///
    /// # Errors
    /// As [`Optimizer::from_config`]; what is not known says how to register it.
    pub fn optimizer(&self, value: &Value) -> regraft_optimizers::Result<Optimizer> {
        let rule = |class: &str, config: &Map<String, Value>| {
            let made = find(&self.optimizers, class)?(&Settings::new(class, config));
            Some(made.map_err(OptimizerError::Config))
        };
        let schedule = |class: &str, config: &Map<String, Value>| {
            let made = find(&self.schedules, class)?(&Settings::new(class, config));
            Some(made.map_err(OptimizerError::Config))
        };
        Optimizer::from_config_with(value, &rule, &schedule).map_err(|error| match error {
            OptimizerError::UnknownName(detail) => {
                let kind = detail.at.clone();
                OptimizerError::UnknownName(how_to_register(detail, &kind))
            }
            error => error,
        })
    }
}

/// What was registered for a class, which may have a package in front: `package>Class`.
fn find<'r, T>(constructors: &'r BTreeMap<String, T>, class: &str) -> Option<&'r T> {
    let bare = class.rsplit('>').next().unwrap_or(class);
    constructors.get(class).or_else(|| constructors.get(bare))
}

/// Adds to the error for an unknown name how to make one's own known.
fn how_to_register(detail: Detail, kind: &str) -> Detail {
    let near = detail.help.clone();
    let name = detail.received.clone();
    detail.help(format!(
        "{near}; one of your own is made known with `registry.register_{kind}({name}, |config| Ok(…))`"
    ))
}

impl Deref for Registry {
    type Target = regraft_layers::Registry;

    fn deref(&self) -> &regraft_layers::Registry {
        &self.layers
    }
}

impl DerefMut for Registry {
    fn deref_mut(&mut self) -> &mut regraft_layers::Registry {
        &mut self.layers
    }
}

impl From<regraft_layers::Registry> for Registry {
    fn from(layers: regraft_layers::Registry) -> Self {
        Registry {
            layers,
            ..Self::default()
        }
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("layers", &self.layers)
            .field("metrics", &self.metrics.keys())
            .field("optimizers", &self.optimizers.keys())
            .field("schedules", &self.schedules.keys())
            .finish()
    }
}
