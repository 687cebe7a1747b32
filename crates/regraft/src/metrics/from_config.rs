//! Metrics from what Keras keeps of them in a file.

use regraft_tensor::Detail;
use serde_json::{Map, Value};

use super::by_name::by_function;
use super::named::AsRead;
use super::*;

/// The metric that a file's configuration describes: a name as `"accuracy"`, or a class with settings
/// (`{"class_name": "AUC", "config": {…}}`), as Keras 3 and Keras 2 write them. It is what
/// [`Metric::serialize`] gives.
///
/// ```
/// use regraft::metrics::{self, Metric, Precision};
///
/// let metric = Precision::new().top_k(3);
/// let again = metrics::from_config(&metric.serialize())?;
/// assert_eq!(again.serialize(), metric.serialize());
/// # Ok::<(), metrics::Error>(())
/// ```
///
/// # Errors
/// [`Error::Unknown`] for a class or name that is not known, [`Error::Argument`] for a setting that is
/// not known or has no meaning.
pub fn from_config(value: &Value) -> Result<Box<dyn Metric>> {
    from_config_with(value, &|_, _| None)
}

/// What a user's own constructor makes of a class and its settings, if it is one that it knows.
pub(crate) type Own<'a> = &'a dyn Fn(&str, &Map<String, Value>) -> Option<Result<Box<dyn Metric>>>;

/// As [`from_config`], with metrics of a user's own.
pub(crate) fn from_config_with(value: &Value, own: Own<'_>) -> Result<Box<dyn Metric>> {
    let none = Map::new();
    if let Value::String(name) = value {
        return own(name, &none).unwrap_or_else(|| by_name(name));
    }
    let wrong = || {
        let expected = "a metric's name, or \"class_name\" and \"config\"";
        Error::Argument(Detail::new("metric", expected, value))
    };
    let class = value["class_name"].as_str().ok_or_else(wrong)?;
    let config = match &value["config"] {
        Value::Object(config) => config,
        Value::Null => &none,
        // A plain function of Keras or of the user.
        Value::String(name) if class == "function" => {
            return own(name, &none).unwrap_or_else(|| by_name(name));
        }
        _ => return Err(wrong()),
    };
    let registered = value["registered_name"].as_str().unwrap_or_default();
    let bare = registered.rsplit('>').next().unwrap_or_default();
    let mut settings = config.clone();
    for of_all in ["name", "dtype"] {
        settings.remove(of_all);
    }
    let names = [class, registered, bare]
        .into_iter()
        .filter(|name| !name.is_empty());
    let found = names.into_iter().find_map(|name| own(name, &settings));
    let metric = match (found, known::class(class)) {
        (Some(made), _) => made?,
        (None, Some(known)) => known.with(config)?,
        (None, None) if class == "MeanMetricWrapper" => return wrapper(settings, config, own),
        (None, None) => {
            let classes = known::KNOWN.iter().map(|known| known.class);
            let near = regraft_layers::near(class, classes);
            let detail = Detail::new("metric", "a known metric", format!("{class:?}"));
            return Err(Error::Unknown(detail.help(near)));
        }
    };
    Ok(as_read(metric, config))
}

/// The metric under the name and the type that the file has for it.
fn as_read(metric: Box<dyn Metric>, config: &Map<String, Value>) -> Box<dyn Metric> {
    let name = config
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or(metric.name());
    let data_type = config.get("dtype").filter(|dtype| !dtype.is_null());
    let serialized = metric.serialize();
    let data_type = data_type.filter(|dtype| **dtype != serialized["config"]["dtype"]);
    if name == metric.name() && data_type.is_none() {
        return metric;
    }
    Box::new(AsRead {
        name: name.to_string(),
        data_type: data_type.cloned(),
        metric,
    })
}

/// A function whose values are averaged. Keras 2 made one of a name (`"accuracy"`), so where it wrote
/// the file the metric counts as given by name.
fn wrapper(
    mut settings: Map<String, Value>,
    config: &Map<String, Value>,
    own: Own<'_>,
) -> Result<Box<dyn Metric>> {
    let function = settings.remove("fn").unwrap_or_default();
    let by_keras_2 = function.is_string();
    let name = match &function {
        Value::String(name) => Some(name.as_str()),
        function => function["config"].as_str(),
    };
    let Some(function) = name else {
        let detail = Detail::new("MeanMetricWrapper.fn", "the name of a function", &function);
        return Err(Error::Argument(detail));
    };
    if let Some(made) = own(function, &settings) {
        return Ok(as_read(made?, config));
    }
    let name = config
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or(function);
    let mut metric = by_function(function, name, settings)?;
    if !by_keras_2 {
        metric = Box::new(AsRead {
            name: name.to_string(),
            data_type: None,
            metric,
        });
    }
    Ok(metric)
}
