//! Copies of metrics whose type is not known: a copy of a compiled model has metrics of its own.

use super::Metric;

/// What can be copied behind a `dyn Metric`: every metric that is `Clone`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be copied",
    note = "a copy of a model has metrics of its own: `#[derive(Clone)]`"
)]
pub trait CloneMetric {
    /// A metric of its own, with what this one has seen.
    fn cloned(&self) -> Box<dyn Metric>;
}

impl<M: Metric + Clone> CloneMetric for M {
    fn cloned(&self) -> Box<dyn Metric> {
        Box::new(self.clone())
    }
}

impl Clone for Box<dyn Metric> {
    fn clone(&self) -> Self {
        (**self).cloned()
    }
}
