//! Metrics by Keras' names, as in `metrics=["accuracy"]`: what they are computed from, the loss says.

use regraft_layers::losses::Link;
use regraft_tensor::Detail;
use serde_json::{Map, Value};

use super::known::{self, Known};
use super::probabilities::Probabilities;
use super::*;

/// The metric of that name, with Keras' defaults. Case and underscores do not matter, so class names
/// (`"MeanSquaredError"`) and short forms (`"mse"`) do as well. As in Keras, the metric is named as
/// it was asked for: `"acc"` stays `acc` in the history.
///
/// In a compiled model it follows the loss: where that takes the outputs for logits, a metric of
/// probabilities is computed from the probabilities that they stand for. (Keras compares logits with
/// 0.5.) A metric that is given as a value takes the outputs as it says itself.
///
/// ```
/// use regraft::metrics;
///
/// let metric = metrics::by_name("mse")?;
/// assert_eq!(metric.name(), "mse");
/// assert!(metrics::by_name("acuracy").is_err());
/// # Ok::<(), metrics::Error>(())
/// ```
///
/// # Errors
/// [`Error::Unknown`], listing the names there are; [`Error::Argument`] for a metric that has settings
/// without a default.
pub fn by_name(name: &str) -> Result<Box<dyn Metric>> {
    let known = known::named(name)?;
    Ok(Box::new(ByName {
        metric: known.with(&Map::new())?,
        name: name.to_string(),
        wrapper: None,
        known,
        link: None,
        probabilities: Probabilities::default(),
    }))
}

/// A function that Keras 2 wrapped into a metric of its own name.
pub(super) fn by_function(
    function: &str,
    name: &str,
    config: Map<String, Value>,
) -> Result<Box<dyn Metric>> {
    let known = known::named(function)?;
    Ok(Box::new(ByName {
        metric: known.with(&config)?,
        name: name.to_string(),
        wrapper: Some((function.to_string(), config)),
        known,
        link: None,
        probabilities: Probabilities::default(),
    }))
}

/// A confusion matrix that follows the loss.
pub(crate) fn following_confusion_matrix(names: &[String]) -> Result<Box<dyn Metric>> {
    let config = settings::settings([("names", names.into())]);
    by_function("confusion_matrix", "confusion_matrix", config)
}

/// A metric that was given by its name.
#[derive(Clone, Debug)]
struct ByName {
    name: String,
    /// Keras' function, and its settings, if a file has it wrapped.
    wrapper: Option<(String, Map<String, Value>)>,
    known: &'static Known,
    metric: Box<dyn Metric>,
    /// What makes probabilities of the outputs.
    link: Option<Link>,
    probabilities: Probabilities,
}

impl Metric for ByName {
    fn name(&self) -> &str {
        &self.name
    }

    fn reset(&mut self) {
        self.metric.reset();
    }

    fn update(&mut self, batch: &Batch<'_>) -> Result<()> {
        match self.link.filter(|_| self.known.of_probabilities) {
            None => self.metric.update(batch),
            // Exact where probabilities would have been cut off. A softmax of one class is 1.
            Some(link)
                if (link != Link::Softmax || batch.width() > 1)
                    && self.metric.takes_logits(link) =>
            {
                self.metric.update(batch)
            }
            Some(link) => self.metric.update(&self.probabilities.of(batch, link)),
        }
    }

    fn result(&self) -> f64 {
        self.metric.result()
    }

    fn results(&self) -> Vec<f64> {
        self.metric.results()
    }

    fn direction(&self) -> Option<Direction> {
        self.metric.direction()
    }

    fn serialize(&self) -> Value {
        match &self.wrapper {
            None => self.name.as_str().into(),
            Some((function, config)) => wrapped(&self.name, function, config),
        }
    }

    fn inner(&self) -> Option<&dyn Metric> {
        Some(&*self.metric)
    }

    fn follow(&mut self, link: Option<Link>) {
        if self.link == link {
            return;
        }
        self.link = link;
        // What was computed from another kind of output does not count.
        let none = Map::new();
        let config = self.wrapper.as_ref().map_or(&none, |(_, config)| config);
        if let Ok(metric) = self.known.with(config) {
            self.metric = metric;
        }
    }
}

impl Configured for ByName {
    fn class(&self) -> Class<'_> {
        self.metric.class()
    }

    fn config(&self) -> Map<String, Value> {
        self.metric.config()
    }

    fn check(&self) -> Result<(), Detail> {
        self.metric.check()
    }
}

/// As Keras writes a function that is the mean over samples.
fn wrapped(name: &str, function: &str, config: &Map<String, Value>) -> Value {
    let mut all = settings::settings([("name", name.into()), ("dtype", "float32".into())]);
    let function = serde_json::json!({
        "module": "builtins",
        "class_name": "function",
        "config": function,
        "registered_name": "function",
    });
    all.insert("fn".to_string(), function);
    all.extend(config.clone());
    serde_json::json!({
        "module": "keras.metrics",
        "class_name": "MeanMetricWrapper",
        "config": all,
        "registered_name": null,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_gives_the_metric_of_that_name() {
        for known in known::KNOWN.iter().chain([&known::ACCURACY]) {
            for name in known.names {
                match by_name(name) {
                    Ok(metric) => assert_eq!(metric.name(), *name),
                    // It has a setting without a default.
                    Err(error) => assert!(matches!(error, Error::Argument(_)), "{error}"),
                }
            }
        }
        // As Keras 3 calls them.
        let metric = by_name("MeanSquaredError").unwrap();
        assert_eq!(metric.name(), "MeanSquaredError");
        assert_eq!(metric.class_name(), "MeanSquaredError");
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let text = by_name("acuracy").unwrap_err().to_string();
        assert!(
            text.contains("\"acuracy\"") && text.contains("the nearest are \"accuracy\""),
            "{text}"
        );
    }
}
