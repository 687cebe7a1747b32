//! From the class names in a file to layers, losses and functions: the built-in ones, and those of a
//! user's own crate.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use regraft_tensor::Detail;
use serde_json::{Map, Value};

use crate::contract::handle::{
    ActivationFunction, ConstraintFunction, InitializerFunction, RegularizerFunction,
    name_and_config,
};
use crate::keras::names::near;
use crate::layers::{TABLE, Wrapper, class_names};
use crate::settings::Settings;
use crate::{
    Activation, Constraint, Error, Initializer, Layer, Loss, LossFunction, Regularizer, Result,
    settings,
};

type Constructor<T> = Arc<dyn Fn(&Settings<'_>) -> Result<T, Detail> + Send + Sync>;
type Constructors<T> = BTreeMap<String, Constructor<T>>;

/// What [`Model::from_config`](crate::Model::from_config) can make: every built-in layer, loss and
/// function, and those of your own once they are registered.
///
/// ```
/// use regraft_layers::{Call, Configured, FromSettings, Layer, Registry, settings};
/// use regraft_autograd::Var;
///
/// settings! {
///     /// y = x · factor
///     #[derive(Debug)]
///     pub struct Scale as "Scale" {
///         /// A layer that multiplies with `factor`.
///         new(factor: f32 = 1.0)
///         factor: f32 = factor,
///     }
/// }
///
/// impl Layer for Scale {
///     fn call<'g>(&self, _: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
///         inputs[0] * self.factor
///     }
/// }
///
/// let mut registry = Registry::new();
/// registry.register("Scale", Scale::from_settings);
/// # let config = Scale::new(2.0).config();
/// # assert_eq!(registry.layer("Scale", &config)?.class_name(), "Scale");
/// # Ok::<(), regraft_layers::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Registry {
    layers: Constructors<Arc<dyn Layer>>,
    losses: Constructors<LossFunction>,
    activations: Constructors<Activation>,
    initializers: Constructors<Initializer>,
    regularizers: Constructors<Regularizer>,
    constraints: Constructors<Constraint>,
}

/// Adds a constructor of one kind of function, and makes what a configuration describes.
macro_rules! function {
    ($kind:literal, $map:ident, $register:ident, $function:ident, $name:ident, $handle:ident) => {
        #[doc = concat!("As [`register`](Self::register), for ", $kind, " of your own.")]
        pub fn $register<F: $function>(
            &mut self,
            class_name: impl Into<String>,
            constructor: impl Fn(&Settings<'_>) -> Result<F, Detail> + Send + Sync + 'static,
        ) -> &mut Self {
            let constructor: Constructor<$handle> =
                Arc::new(move |settings| $handle::make_by(&constructor, settings));
            self.$map.insert(class_name.into(), constructor);
            self
        }

        #[doc = concat!("What a file's configuration of ", $kind, " means.")]
        ///
        /// # Errors
        /// A name that is not known, with how to register it, or settings that have no meaning.
        pub fn $name(&self, value: &Value) -> Result<$handle, Detail> {
            match own(&self.$map, stringify!($handle), value)? {
                Some((name, constructor, config)) => {
                    constructor(&Settings::new(name, &config).with(Some(self)))
                }
                None => $handle::deserialize(value)
                    .map_err(|detail| with_help(detail, stringify!($name), value)),
            }
        }
    };
}

/// The name under which a constructor was registered, it, and the settings for it.
type Found<'r, T> = (&'r str, &'r Constructor<T>, Map<String, Value>);

/// The constructor that was registered for what `value` names, and the settings for it.
fn own<'r, T>(
    constructors: &'r Constructors<T>,
    kind: &str,
    value: &Value,
) -> Result<Option<Found<'r, T>>, Detail> {
    if constructors.is_empty() {
        return Ok(None);
    }
    let (name, config) = name_and_config(kind, value)?;
    // A class that was registered with a package is called `package>Class`.
    let registered = value["registered_name"].as_str().unwrap_or_default();
    let bare = registered.rsplit('>').next().unwrap_or_default();
    let found = [name, registered, bare]
        .into_iter()
        .find_map(|name| constructors.get_key_value(name));
    Ok(found.map(|(name, constructor)| {
        (
            name.as_str(),
            constructor,
            config.cloned().unwrap_or_default(),
        )
    }))
}

/// Adds how to register what is not known.
fn with_help(detail: Detail, kind: &str, value: &Value) -> Detail {
    let unknown = detail.expected == format!("a known {kind}");
    match (unknown, name_and_config(kind, value)) {
        (true, Ok((name, _))) => {
            let near = detail.help.clone();
            detail.help(format!(
                "{near}; one of your own is made known with \
                 `registry.register_{kind}({name:?}, |config| Ok(…))`"
            ))
        }
        _ => detail,
    }
}

impl Registry {
    /// The built-in layers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a class, or takes the place of the one of that name. `constructor` gets the settings that
    /// [`config`](crate::Configured::config) gave, without `name`, `trainable` and `dtype`, which are
    /// the model's; of a class that is declared with [`settings!`](crate::settings!) it is
    /// `Mine::from_settings`.
    pub fn register<L: Layer>(
        &mut self,
        class_name: impl Into<String>,
        constructor: impl Fn(&Settings<'_>) -> Result<L, Detail> + Send + Sync + 'static,
    ) -> &mut Self {
        let constructor: Constructor<Arc<dyn Layer>> =
            Arc::new(move |settings| Ok(Arc::new(constructor(settings)?)));
        self.layers.insert(class_name.into(), constructor);
        self
    }

    /// As [`register`](Self::register), for a loss of your own. The settings come without `name` and
    /// `reduction`, which every loss has.
    pub fn register_loss<L: Loss>(
        &mut self,
        class_name: impl Into<String>,
        constructor: impl Fn(&Settings<'_>) -> Result<L, Detail> + Send + Sync + 'static,
    ) -> &mut Self {
        let constructor: Constructor<LossFunction> =
            Arc::new(move |settings| LossFunction::make_by(&constructor, settings));
        self.losses.insert(class_name.into(), constructor);
        self
    }

    /// What a file's configuration of a loss means.
    ///
    /// # Errors
    /// A name that is not known, with how to register it, or settings that have no meaning.
    pub fn loss(&self, value: &Value) -> Result<LossFunction, Detail> {
        match own(&self.losses, "loss", value)? {
            Some((name, constructor, config)) => {
                constructor(&Settings::new(name, &config).with(Some(self)))
            }
            None => {
                LossFunction::deserialize(value).map_err(|detail| with_help(detail, "loss", value))
            }
        }
    }

    function!(
        "an activation",
        activations,
        register_activation,
        ActivationFunction,
        activation,
        Activation
    );
    function!(
        "an initializer",
        initializers,
        register_initializer,
        InitializerFunction,
        initializer,
        Initializer
    );
    function!(
        "a regularizer",
        regularizers,
        register_regularizer,
        RegularizerFunction,
        regularizer,
        Regularizer
    );
    function!(
        "a constraint",
        constraints,
        register_constraint,
        ConstraintFunction,
        constraint,
        Constraint
    );

    /// Every class name of a layer that it knows.
    pub fn class_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.layers.keys().map(String::as_str).collect();
        for name in class_names() {
            names.push(name);
        }
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The layer of this class with these settings.
    ///
    /// # Errors
    /// [`Error::Config`] for a class that is not known (with near names, and how to register it), for
    /// `Lambda`, which holds Python code, and for settings that have no meaning.
    pub fn layer(&self, class_name: &str, config: &Map<String, Value>) -> Result<Arc<dyn Layer>> {
        if class_name == "Lambda" {
            let expected = "a layer that is described by its settings";
            let detail = Detail::new("", expected, "a `Lambda`, which holds Python code");
            let help = "write it as a layer of your own, and give it that class in Keras too";
            return Err(Error::Config(detail.help(help)));
        }
        let made = match self.layers.get(class_name) {
            Some(constructor) => constructor(&Settings::new(class_name, config).with(Some(self))),
            None if Wrapper::of(class_name).is_some() => {
                return crate::keras::config::wrapper(self, class_name, config);
            }
            None if class_names().any(|known| known == class_name) => {
                settings::make_with("layer", TABLE, class_name, config, Some(self))
            }
            None => return Err(self.unknown(class_name)),
        };
        made.map_err(Error::Config)
    }

    fn unknown(&self, class_name: &str) -> Error {
        let near = near(class_name, self.class_names());
        let help = format!(
            "{near}; a layer of your own is made known with \
             `registry.register({class_name:?}, |config| Ok({class_name} {{ … }}))`"
        );
        let detail = Detail::new("", "a known layer class", format!("{class_name:?}"));
        Error::Config(detail.help(help))
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = self.layers.keys().chain(self.losses.keys());
        let own = own
            .chain(self.activations.keys())
            .chain(self.initializers.keys());
        let own = own
            .chain(self.regularizers.keys())
            .chain(self.constraints.keys());
        f.debug_struct("Registry")
            .field("registered", &own.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Configured;

    #[test]
    fn an_unknown_class_is_named_with_near_names_and_how_to_register_it() {
        let error = Registry::new()
            .layer("Densse", &Map::new())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("\"Densse\"") && error.contains("\"Dense\""),
            "{error}"
        );
        assert!(error.contains("registry.register(\"Densse\""), "{error}");
    }

    #[test]
    fn functions_of_ones_own_are_found_in_the_settings_of_built_in_layers() {
        #[derive(Debug)]
        struct Shift(f32);
        impl crate::Configured for Shift {
            fn class(&self) -> crate::Class<'_> {
                crate::Class::new("mine.Shift")
            }
            fn config(&self) -> Map<String, Value> {
                Map::from_iter([("by".to_string(), settings::number(self.0))])
            }
        }
        impl ActivationFunction for Shift {
            fn apply<'g>(&self, x: regraft_autograd::Var<'g>) -> regraft_autograd::Var<'g> {
                x + self.0
            }
        }
        let layer = crate::Dense::new(2).activation(Shift(0.5));
        let config = layer.config();
        let mut registry = Registry::new();
        let unknown = registry.layer("Dense", &config).unwrap_err().to_string();
        assert!(
            unknown.contains("registry.register_activation(\"Shift\""),
            "{unknown}"
        );
        registry.register_activation("Shift", |settings| Ok(Shift(settings.required("by")?)));
        let again = registry.layer("Dense", &config).unwrap();
        assert_eq!(again.config(), config);
        assert_eq!(config["activation"]["registered_name"], "Shift");
        // As Keras writes a class of a package, and a function.
        let mut packaged = config["activation"].clone();
        packaged["class_name"] = "Other".into();
        packaged["registered_name"] = "mine>Shift".into();
        assert!(registry.activation(&packaged).is_ok());
    }

    #[test]
    fn lambda_is_refused_even_if_registered() {
        let mut registry = Registry::new();
        registry.register("Lambda", |_| Ok(crate::layers::Identity));
        let error = registry
            .layer("Lambda", &Map::new())
            .unwrap_err()
            .to_string();
        assert!(error.contains("Python code"), "{error}");
    }

    #[test]
    fn a_setting_that_is_not_known_is_an_error() {
        let config = Map::from_iter([("rates".to_string(), 0.5.into())]);
        let error = Registry::new()
            .layer("Dropout", &config)
            .unwrap_err()
            .to_string();
        assert!(error.contains("\"rate\""), "{error}");
    }
}
