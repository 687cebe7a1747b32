//! Another name for a metric, so that two of a kind can stand side by side.

use super::{Batch, Direction, Metric, Result};

/// A metric under another name; see [`named`].
#[derive(Debug)]
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

impl<M: Metric> Metric for Named<M> {
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
}

impl Metric for Box<dyn Metric> {
    fn name(&self) -> &str {
        (**self).name()
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
}
