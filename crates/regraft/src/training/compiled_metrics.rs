//! The metrics that a model was compiled with, each of the output that it looks at.

use regraft_tensor::Detail;
use serde_json::{Value, json};

use crate::metrics::Metric;
use crate::registry::Registry;
use crate::training::number::next_number;
use crate::{Error, Result};

/// Metrics in the order in which they are reported.
#[derive(Clone, Debug, Default)]
pub(crate) struct CompiledMetrics {
    list: Vec<CompiledMetric>,
    /// Clones have the same, others another.
    number: u64,
}

/// A metric and the output that it looks at.
#[derive(Clone, Debug)]
struct CompiledMetric {
    /// `None` for one that was given in order: there is one of each output then.
    output: Option<usize>,
    metric: Box<dyn Metric>,
}

impl From<Vec<Box<dyn Metric>>> for CompiledMetrics {
    /// In the order of the outputs.
    fn from(metrics: Vec<Box<dyn Metric>>) -> Self {
        let one = |metric| CompiledMetric {
            output: None,
            metric,
        };
        CompiledMetrics {
            list: metrics.into_iter().map(one).collect(),
            number: next_number(),
        }
    }
}

impl CompiledMetrics {
    /// Checks that they go with so many outputs.
    pub fn check(&self, what: &str, outputs: usize) -> Result<()> {
        let in_order = self.list.iter().filter(|one| one.output.is_none()).count();
        if outputs > 1 && in_order > 0 && in_order != outputs {
            let expected = format!("none, or 1 for each of the {outputs} outputs");
            return Err(Error::Setting(Detail::new(what, expected, in_order)));
        }
        self.iter().try_for_each(|metric| {
            let at = |detail: Detail| Error::Setting(detail.within(metric.name()).within(what));
            metric.check().map_err(at)
        })
    }

    /// The metrics.
    pub fn iter(&self) -> impl Iterator<Item = &dyn Metric> {
        self.list.iter().map(|one| &*one.metric)
    }

    /// The metrics, each with its output.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut dyn Metric)> {
        let list = self.list.iter_mut().enumerate();
        list.map(|(position, one)| (one.output.unwrap_or(position), &mut *one.metric))
    }

    /// What these clones of them have seen, unless they have been replaced since.
    pub fn take_from(&mut self, clones: &CompiledMetrics) {
        if self.number == clones.number {
            self.clone_from(clones);
        }
    }

    /// Forgets all batches.
    pub fn reset(&mut self) {
        for one in &mut self.list {
            one.metric.reset();
        }
    }

    /// What each is called in a history: with the name of its output in front if there are several.
    pub fn names<'a>(&'a self, outputs: &'a [String]) -> impl Iterator<Item = String> + 'a {
        let list = self.list.iter().enumerate();
        list.map(
            |(position, one)| match outputs.get(one.output.unwrap_or(position)) {
                Some(output) => format!("{output}_{}", one.metric.name()),
                None => one.metric.name().to_string(),
            },
        )
    }

    /// As Keras stores them: a list, or of several outputs a list for each. Those that Keras does not
    /// have are left out unless `all` are asked for.
    pub fn config(&self, outputs: usize, all: bool) -> Value {
        let known = |one: &&CompiledMetric| all || !one.metric.class().module.is_empty();
        let list = || self.list.iter().enumerate();
        if outputs < 2 || self.list.is_empty() {
            let list = list().map(|(_, one)| one);
            return list
                .filter(known)
                .map(|one| one.metric.serialize())
                .collect();
        }
        let of_output = |output: usize| -> Value {
            let own = list().filter(|(position, one)| one.output.unwrap_or(*position) == output);
            let own = own.map(|(_, one)| one);
            own.filter(known)
                .map(|one| one.metric.serialize())
                .collect()
        };
        (0..outputs).map(of_output).collect()
    }

    /// Whether there is one that Keras does not have.
    pub fn has_own(&self) -> bool {
        self.iter().any(|metric| metric.class().module.is_empty())
    }

    /// What [`config`](Self::config) and Keras write: a name or a class, a list, a list for each output,
    /// or a dictionary by the outputs' names. What is not known is left out, and why is added to
    /// `unknown`.
    pub fn from_config(
        value: &Value,
        outputs: &[String],
        registry: &Registry,
        unknown: &mut Vec<Detail>,
    ) -> Self {
        let mut made = CompiledMetrics::from(Vec::new());
        let mut add = |output: Option<usize>, value: &Value| {
            for value in flat(value) {
                match registry.metric(value) {
                    Ok(metric) => made.list.push(CompiledMetric { output, metric }),
                    Err(error) => unknown.push(error.into_detail()),
                }
            }
        };
        match value {
            Value::Object(by_name) if !by_name.contains_key("class_name") => {
                for (index, output) in outputs.iter().enumerate() {
                    add(Some(index), by_name.get(output).unwrap_or(&Value::Null));
                }
                for name in by_name.keys().filter(|name| !outputs.contains(*name)) {
                    let expected = format!("the outputs {outputs:?}");
                    unknown.push(Detail::new("metrics", expected, format!("{name:?}")));
                }
            }
            Value::Array(list) if outputs.len() > 1 && list.len() == outputs.len() => {
                for (index, value) in list.iter().enumerate() {
                    add(Some(index), value);
                }
            }
            value if outputs.len() > 1 => {
                let count = flat(value).len();
                if count > 0 {
                    let expected = format!("metrics for each of the {} outputs", outputs.len());
                    unknown.push(Detail::new("metrics", expected, json!(value)));
                }
            }
            value => add(Some(0), value),
        }
        made
    }
}

/// The configurations in lists of lists.
fn flat(value: &Value) -> Vec<&Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(values) => values.iter().flat_map(flat).collect(),
        value => vec![value],
    }
}
