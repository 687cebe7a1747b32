//! From the class names in a file to layers: the built-in ones, and those of a user's own crate.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use regraft_tensor::Detail;
use serde_json::{Map, Value};

use crate::layers::{TABLE, class_names};
use crate::names::near;
use crate::{Error, Layer, Result, settings};

type Constructor = Arc<dyn Fn(&Map<String, Value>) -> Result<Arc<dyn Layer>, Detail> + Send + Sync>;

/// What [`Model::from_config`](crate::Model::from_config) can make: every built-in layer, and layers
/// of your own once they are registered.
///
/// ```
/// use regraft_layers::{Call, Layer, Registry};
/// use regraft_autograd::Var;
/// use serde_json::{Map, Value};
///
/// /// y = x · factor
/// #[derive(Debug)]
/// struct Scale {
///     factor: f32,
/// }
///
/// impl Layer for Scale {
///     fn class_name(&self) -> &str {
///         "Scale"
///     }
///     fn call<'g>(&self, _: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
///         inputs[0] * self.factor
///     }
///     fn config(&self) -> Map<String, Value> {
///         Map::from_iter([("factor".to_string(), self.factor.into())])
///     }
/// }
///
/// let mut registry = Registry::new();
/// registry.register("Scale", |config| {
///     let factor = config.get("factor").and_then(Value::as_f64).unwrap_or(1.0);
///     Ok(Scale { factor: factor as f32 })
/// });
/// # let config = Scale { factor: 2.0 }.config();
/// # assert_eq!(registry.layer("Scale", &config)?.class_name(), "Scale");
/// # Ok::<(), regraft_layers::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Registry {
    constructors: BTreeMap<String, Constructor>,
}

impl Registry {
    /// The built-in layers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a class, or takes the place of the one of that name. `constructor` gets the settings that
    /// [`Layer::config`] gave, without `name`, `trainable` and `dtype`, which are the model's.
    pub fn register<L: Layer>(
        &mut self,
        class_name: impl Into<String>,
        constructor: impl Fn(&Map<String, Value>) -> Result<L, Detail> + Send + Sync + 'static,
    ) -> &mut Self {
        let constructor: Constructor = Arc::new(move |config| Ok(Arc::new(constructor(config)?)));
        self.constructors.insert(class_name.into(), constructor);
        self
    }

    /// Every class name that it knows.
    pub fn class_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.constructors.keys().map(String::as_str).collect();
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
        let made = match self.constructors.get(class_name) {
            Some(constructor) => constructor(config),
            None if class_names().any(|known| known == class_name) => {
                settings::make("layer", TABLE, class_name, config)
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
        let own: Vec<&String> = self.constructors.keys().collect();
        f.debug_struct("Registry")
            .field("registered", &own)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
