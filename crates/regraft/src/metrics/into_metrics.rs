//! What can be given where metrics are expected: names, values, lists of them, nothing.

use super::settings::check;
use super::{Metric, Result, by_name};

/// What can be used as one metric: a name such as `"accuracy"`, or a value.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a metric",
    note = "pass a name such as `\"accuracy\"`, or a value such as `metrics::Accuracy::new()`; a metric of your own implements `Metric`"
)]
pub trait IntoMetric {
    /// The metric.
    ///
    /// # Errors
    /// A name that is not known, or settings that have no meaning.
    fn into_metric(self) -> Result<Box<dyn Metric>>;
}

impl<M: Metric + 'static> IntoMetric for M {
    fn into_metric(self) -> Result<Box<dyn Metric>> {
        check(&self)?;
        Ok(Box::new(self))
    }
}

impl IntoMetric for &str {
    fn into_metric(self) -> Result<Box<dyn Metric>> {
        by_name(self)
    }
}

/// What can be used where metrics are expected: `["accuracy"]`, `(Accuracy::new(), "auc")`, a
/// vector, or `()` for none.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a list of metrics",
    note = "pass a list of names or values, also of one: `[\"accuracy\"]`, `(F1Score::default(), \"auc\")`, or `()` for none"
)]
pub trait IntoMetrics {
    /// The metrics in order.
    ///
    /// # Errors
    /// A name that is not known, or settings that have no meaning.
    fn into_metrics(self) -> Result<Vec<Box<dyn Metric>>>;
}

impl IntoMetrics for () {
    fn into_metrics(self) -> Result<Vec<Box<dyn Metric>>> {
        Ok(Vec::new())
    }
}

impl<M: IntoMetric, const N: usize> IntoMetrics for [M; N] {
    fn into_metrics(self) -> Result<Vec<Box<dyn Metric>>> {
        self.into_iter().map(IntoMetric::into_metric).collect()
    }
}

impl<M: IntoMetric> IntoMetrics for Vec<M> {
    fn into_metrics(self) -> Result<Vec<Box<dyn Metric>>> {
        self.into_iter().map(IntoMetric::into_metric).collect()
    }
}

/// Tuples, so that names and values can stand together.
macro_rules! tuple {
    ($($name:ident)*) => {
        impl<$($name: IntoMetric),*> IntoMetrics for ($($name,)*) {
            #[allow(non_snake_case)]
            fn into_metrics(self) -> Result<Vec<Box<dyn Metric>>> {
                let ($($name,)*) = self;
                Ok(vec![$($name.into_metric()?),*])
            }
        }
    };
}

tuple!(A);
tuple!(A B);
tuple!(A B C);
tuple!(A B C D);
tuple!(A B C D E);
