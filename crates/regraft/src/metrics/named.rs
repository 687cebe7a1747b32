//! Another name for a metric, so that two of a kind can stand side by side.

use regraft_layers::losses::Link;
use regraft_layers::{Class, Configured};
use regraft_tensor::Detail;
use serde_json::{Map, Value};

use super::{Batch, Direction, Metric, Result};

/// A metric under another name; see [`named`].
#[derive(Clone, Debug)]
pub struct Named<M> {
    name: String,
    metric: M,
}

/// Gives `metric` the name it has in histories and progress bars.
///
/// ```
/// use regraft::metrics::{Metric, Precision, named};
///
/// let metric = named("precision_of_cats", Precision::new().class_id(3));
/// assert_eq!(metric.name(), "precision_of_cats");
/// ```
pub fn named<M: Metric>(name: impl Into<String>, metric: M) -> Named<M> {
    Named {
        name: name.into(),
        metric,
    }
}

impl<M: Metric + Clone> Metric for Named<M> {
    fn name(&self) -> &str {
        &self.name
    }

    fn looks_at_masks(&self) -> bool {
        self.metric.looks_at_masks()
    }

    fn reset(&mut self) {
        self.metric.reset();
    }

    fn update(&mut self, batch: &Batch<'_>) -> Result<()> {
        self.metric.update(batch)
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

    fn inner(&self) -> Option<&dyn Metric> {
        Some(&self.metric)
    }

    fn follow(&mut self, link: Option<Link>) {
        self.metric.follow(link);
    }
}

impl<M: Metric + Clone> Configured for Named<M> {
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

impl Metric for Box<dyn Metric> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn looks_at_masks(&self) -> bool {
        (**self).looks_at_masks()
    }

    fn reset(&mut self) {
        (**self).reset();
    }

    fn update(&mut self, batch: &Batch<'_>) -> Result<()> {
        (**self).update(batch)
    }

    fn result(&self) -> f64 {
        (**self).result()
    }

    fn results(&self) -> Vec<f64> {
        (**self).results()
    }

    fn direction(&self) -> Option<Direction> {
        (**self).direction()
    }

    fn serialize(&self) -> Value {
        (**self).serialize()
    }

    fn inner(&self) -> Option<&dyn Metric> {
        Some(&**self)
    }

    fn follow(&mut self, link: Option<Link>) {
        (**self).follow(link);
    }

    fn takes_logits(&mut self, link: Link) -> bool {
        (**self).takes_logits(link)
    }
}

impl Configured for Box<dyn Metric> {
    fn class(&self) -> Class<'_> {
        (**self).class()
    }

    fn config(&self) -> Map<String, Value> {
        (**self).config()
    }

    fn check(&self) -> Result<(), Detail> {
        (**self).check()
    }
}

/// A metric as a file has it: with its name, and the type that Keras would compute it in.
#[derive(Clone, Debug)]
pub(super) struct AsRead {
    pub name: String,
    pub data_type: Option<Value>,
    pub metric: Box<dyn Metric>,
}

impl Metric for AsRead {
    fn name(&self) -> &str {
        &self.name
    }

    fn reset(&mut self) {
        self.metric.reset();
    }

    fn update(&mut self, batch: &Batch<'_>) -> Result<()> {
        self.metric.update(batch)
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
        let mut serialized = self.metric.serialize();
        if let Some(config) = serialized["config"].as_object_mut() {
            config.insert("name".to_string(), self.name.as_str().into());
            if let Some(data_type) = &self.data_type {
                config.insert("dtype".to_string(), data_type.clone());
            }
        }
        serialized
    }

    fn inner(&self) -> Option<&dyn Metric> {
        Some(&*self.metric)
    }
}

impl Configured for AsRead {
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
