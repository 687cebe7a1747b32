//! The graph of the objects that were saved: which variable belongs to which key, its real name, and
//! the order of a model's layers. The message is TensorFlow's `TrackableObjectGraph`
//! (`tensorflow/core/protobuf/trackable_object_graph.proto`).

use crate::protobuf::{Fields, Malformed, Value};

/// The key of the tensor that holds the graph.
pub(super) const KEY: &str = "_CHECKPOINTABLE_OBJECT_GRAPH";

/// A variable of the graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Variable<'a> {
    /// The key of its tensor.
    pub(super) key: &'a str,
    /// As in `dense/kernel`; may be empty.
    pub(super) full_name: &'a str,
}

/// What was found, in the order of the objects.
#[derive(Debug, Default)]
pub(super) struct Found<'a> {
    /// The variables of the model.
    pub(super) weights: Vec<Variable<'a>>,
    /// Those of the optimizer: iteration, learning rate, slots in its own order.
    pub(super) optimizer: Vec<Variable<'a>>,
    /// Those that are neither, such as metrics.
    pub(super) others: Vec<Variable<'a>>,
}

/// The nodes' messages; what is in them is read when it is needed.
struct Graph<'a> {
    nodes: Vec<&'a [u8]>,
}

/// Walks the graph from its root, each object once, in the order in which Keras keeps a model's
/// layers and a layer's weights.
pub(super) fn read(message: &[u8]) -> Result<Found<'_>, Malformed> {
    let mut graph = Graph { nodes: Vec::new() };
    for field in Fields::new(message) {
        if let (1, Value::Bytes(node)) = field? {
            graph.nodes.push(node);
        }
    }
    let mut found = Found::default();
    let mut seen = vec![false; graph.nodes.len()];
    let mut optimizers = Vec::new();
    let is_export = graph.child(0, "_all_variables")?.is_some();
    graph.walk(
        0,
        &mut seen,
        |graph, node, name| {
            if name == "optimizer" || graph.child(node, "_iterations")?.is_some() {
                optimizers.push(node);
                return Ok(true);
            }
            // What Keras 2 keeps beside a SavedModel's layers, and Keras 3's second copy of an export.
            Ok(name == "keras_api"
                || name == "signatures"
                || (is_export && name == "_all_variables"))
        },
        &mut found.weights,
    )?;

    for &optimizer in &optimizers {
        // Keras 3 refers to a model's weights from its optimizer, often by shorter paths.
        if let Some(trained) = graph.child(optimizer, "_trainable_variables")? {
            graph.walk(trained, &mut seen, |_, _, _| Ok(false), &mut found.weights)?;
        }
        for part in ["_iterations", "_learning_rate", "_variables"] {
            if let Some(part) = graph.child(optimizer, part)? {
                graph.walk(part, &mut seen, |_, _, _| Ok(false), &mut found.optimizer)?;
            }
        }
    }
    for (node, seen) in seen.iter().enumerate() {
        if !seen {
            graph.variables(node, &mut found.others)?;
        }
    }
    if is_export {
        found
            .others
            .retain(|variable| !variable.key.starts_with("_all_variables/"));
    }
    Ok(found)
}

impl<'a> Graph<'a> {
    /// The objects that `node` refers to, by name.
    fn children(&self, node: usize) -> Result<Vec<(usize, &'a str)>, Malformed> {
        let mut children = Vec::new();
        for field in Fields::new(self.nodes.get(node).copied().unwrap_or_default()) {
            let (1, Value::Bytes(reference)) = field? else {
                continue;
            };
            let (mut child, mut name) = (0, "");
            for field in Fields::new(reference) {
                match field? {
                    (1, Value::Varint(value)) => {
                        child = usize::try_from(value).map_err(|_| Malformed)?;
                    }
                    (2, Value::Bytes(value)) => name = text(value)?,
                    _ => {}
                }
            }
            if child >= self.nodes.len() {
                return Err(Malformed);
            }
            children.push((child, name));
        }
        Ok(children)
    }

    fn child(&self, node: usize, wanted: &str) -> Result<Option<usize>, Malformed> {
        let children = self.children(node)?;
        let child = children.iter().find(|(_, name)| *name == wanted);
        Ok(child.map(|(child, _)| *child))
    }

    /// The variables that `node` itself is.
    fn variables(&self, node: usize, all: &mut Vec<Variable<'a>>) -> Result<(), Malformed> {
        for field in Fields::new(self.nodes[node]) {
            let (2, Value::Bytes(attribute)) = field? else {
                continue;
            };
            let mut variable = Variable {
                key: "",
                full_name: "",
            };
            for field in Fields::new(attribute) {
                match field? {
                    (2, Value::Bytes(value)) => variable.full_name = text(value)?,
                    (3, Value::Bytes(value)) => variable.key = text(value)?,
                    _ => {}
                }
            }
            all.push(variable);
        }
        Ok(())
    }

    /// Collects the variables at `start` and below, but not below what `leave` says.
    fn walk(
        &self,
        start: usize,
        seen: &mut [bool],
        mut leave: impl FnMut(&Self, usize, &str) -> Result<bool, Malformed>,
        all: &mut Vec<Variable<'a>>,
    ) -> Result<(), Malformed> {
        let mut open = vec![(start, "")];
        while let Some((node, name)) = open.pop() {
            let Some(seen) = seen.get_mut(node).filter(|seen| !**seen) else {
                continue;
            };
            if leave(self, node, name)? {
                continue;
            }
            *seen = true;
            self.variables(node, all)?;
            open.extend(self.children(node)?.into_iter().rev());
        }
        Ok(())
    }
}

fn text(bytes: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|_| Malformed)
}
