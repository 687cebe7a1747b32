//! Every value of a graph for some samples: a look inside a formula, forward and backward.

use std::fmt;

use crate::feed::{check_input, check_variable};
use crate::node::Source;
use crate::{
    Constant, Error, Feed, Graph, Node, NodeId, Nodes, Result, Run, Var, Variables, evaluate,
};

/// The values of all nodes that some outputs need: what [`Graph::trace`] found.
#[derive(Clone, Debug)]
pub struct Trace {
    nodes: Nodes,
    values: Vec<Option<Constant>>,
}

impl Graph {
    /// Computes `outputs` for `batch` samples from the fed inputs (by position) and variables, and keeps
    /// the value of every node on the way. Nodes are computed one by one as they were written, without
    /// [passes](crate::passes); printed, a trace has a line for each of them.
    ///
    /// ```
    /// use regraft_autograd::{Feed, Graph, Run, Tensor, VariableId};
    ///
    /// let graph = Graph::new();
    /// let x = graph.samples("x", &[2]);
    /// let kernel = graph.variable(VariableId(0), "kernel", [2, 1]);
    /// let loss = x.matmul(kernel).square().mean_all().named("loss");
    /// let gradient = graph.grad(loss, &[kernel])?[0];
    ///
    /// let weights = [Tensor::new([2, 1], vec![1.0, 2.0])?];
    /// let feeds = [Feed::F32(&[1.0, 0.0, 0.0, 1.0])];
    /// let trace = graph.trace(&[loss, gradient], 2, &feeds, &weights, Run::default())?;
    /// assert_eq!(trace.value(gradient).and_then(|value| value.f32()), Some(&weights[0]));
    /// for (_, node, value) in trace.iter().filter(|(_, node, _)| node.backward) {
    ///     println!("{} {value:?}", node.name);
    /// }
    /// assert!(trace.to_string().contains("d loss / d kernel"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The graph's first error, and those of [`Workspace::run`](crate::Workspace::run).
    pub fn trace<V: Variables + ?Sized>(
        &self,
        outputs: &[Var<'_>],
        batch: usize,
        feeds: &[Feed<'_>],
        variables: &V,
        run: Run,
    ) -> Result<Trace> {
        self.check()?;
        let nodes = self.nodes_for(outputs);
        let needed = nodes.needed();
        let mut values: Vec<Option<Constant>> = Vec::with_capacity(nodes.len());
        for (id, node) in nodes.iter() {
            let shape = node.shape.concrete(batch);
            let length = shape.iter().product();
            let of_words =
                |words: &[f32]| Constant::of_words(node.data_type, &shape, words.to_vec());
            let value = || -> Result<Constant> {
                Ok(match &node.source {
                    Source::Constant(constant) => constant.clone(),
                    Source::Input { index } => {
                        of_words(check_input(node, *index, length, batch, feeds)?.words().1)
                    }
                    Source::Variable(id) => of_words(check_variable(node, *id, length, variables)?),
                    Source::Op { op, operands } => {
                        let value = |operand: &NodeId| values[operand.0].as_ref();
                        let operands: Option<Vec<&Constant>> = operands.iter().map(value).collect();
                        let operands = operands.expect("what a needed node needs is needed");
                        let value = evaluate(&**op, &operands, &shape, node.data_type, run);
                        value.map_err(|detail| Error::Feed(detail.within(node.place())))?
                    }
                })
            };
            let value = if needed[id.0] { Some(value()?) } else { None };
            values.push(value);
        }
        Ok(Trace { nodes, values })
    }
}

impl Trace {
    /// The value of a node, if the outputs need it.
    pub fn value(&self, var: Var<'_>) -> Option<&Constant> {
        self.values.get(var.id().0)?.as_ref()
    }

    /// All nodes that the outputs need, in the order in which they were computed, with their values.
    pub fn iter(&self) -> impl Iterator<Item = (NodeId, &Node, &Constant)> {
        let values = self.nodes.iter().zip(&self.values);
        values.filter_map(|((id, node), value)| Some((id, node, value.as_ref()?)))
    }
}

impl fmt::Display for Trace {
    /// One line per node: number, forward (`→`) or backward (`←`), shape, the least, the mean and the
    /// largest of its elements, how many are NaN or infinite, what it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (id, node, value) in self.iter() {
            let numbers: Vec<f64> = match value {
                Constant::F32(it) => it.as_slice().iter().map(|&x| f64::from(x)).collect(),
                Constant::I32(it) => it.as_slice().iter().map(|&x| f64::from(x)).collect(),
            };
            let finite = || numbers.iter().copied().filter(|x| x.is_finite());
            let (count, all) = (finite().count(), numbers.len());
            let least = finite().fold(f64::INFINITY, f64::min);
            let largest = finite().fold(f64::NEG_INFINITY, f64::max);
            let arrow = if node.backward { '←' } else { '→' };
            let shape = format!("{:?}", value.shape());
            write!(f, "%{:<4}{arrow} {shape:<16}", id.0)?;
            match count {
                0 => write!(f, "{:>36}", "")?,
                _ => {
                    let mean = finite().sum::<f64>() / count as f64;
                    write!(f, "{least:>12.4e}{mean:>12.4e}{largest:>12.4e}")?;
                }
            }
            match all - count {
                0 => write!(f, "  ")?,
                broken => write!(f, "  {broken} not finite  ")?,
            }
            writeln!(f, "{}", node.describe())?;
        }
        Ok(())
    }
}
