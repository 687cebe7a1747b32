//! Reverse-mode differentiation: from a number back to what it was computed from, as new nodes of
//! the same graph. Only nodes on a path between the two get a gradient: what is constant costs
//! nothing, because nothing is made for it.

use regraft_tensor::Detail;

use crate::node::Source;
use crate::op::Gradient;
use crate::{Error, Graph, NodeId, Result, Var};

impl Graph {
    /// The gradients of `loss` with respect to each of `wrt`, as nodes of this graph, which can be
    /// differentiated again.
    ///
    /// Where `loss` does not depend on one of `wrt`, and for every constant, the gradient is zero.
    ///
    /// # Errors
    /// [`Error::Gradient`] if `loss` is not a single number, and the graph's own first error.
    pub fn grad<'g>(&'g self, loss: Var<'g>, wrt: &[Var<'g>]) -> Result<Vec<Var<'g>>> {
        self.check()?;
        if loss.shape().rank() != 0 {
            return Err(Error::Gradient(
                Detail::new("Graph::grad", "a loss of shape ()", loss.shape())
                    .help("reduce it with `sum_all()` or `mean_all()` first"),
            ));
        }
        let seed = self.number(1.0);
        let gradients = pull_back(self, loss, seed, wrt);
        let gradients = gradients
            .into_iter()
            .zip(wrt)
            .map(|(gradient, wrt)| gradient.unwrap_or_else(|| self.full(wrt.shape(), 0.0)))
            .collect();
        self.check()?;
        Ok(gradients)
    }
}

/// Pulls `cotangent` (the gradient with respect to `value`) back to each of `wrt`; `None` where
/// `value` does not depend on it.
pub(crate) fn pull_back<'g>(
    graph: &'g Graph,
    value: Var<'g>,
    cotangent: Var<'g>,
    wrt: &[Var<'g>],
) -> Vec<Option<Var<'g>>> {
    let first = match wrt.iter().map(|var| var.id()).min() {
        Some(first) => first.0,
        None => return Vec::new(),
    };
    let last = value.id().0;
    if last < first {
        return vec![None; wrt.len()];
    }
    // depends[i]: whether node `first + i` is one of `wrt` or computed from one.
    let mut depends = vec![false; last - first + 1];
    {
        let nodes = graph.nodes();
        for var in wrt {
            let constant = matches!(nodes.node(var.id()).source, Source::Constant(_));
            if var.id().0 <= last && !constant {
                depends[var.id().0 - first] = true;
            }
        }
        for id in first..=last {
            depends[id - first] |= nodes.nodes[id]
                .operands()
                .iter()
                .any(|operand| operand.0 >= first && depends[operand.0 - first]);
        }
    }
    let mut cotangents: Vec<Option<Var<'g>>> = vec![None; depends.len()];
    if depends[last - first] {
        cotangents[last - first] = Some(cotangent);
    }
    let asked: Vec<usize> = wrt.iter().map(|var| var.id().0).collect();
    for id in (first..=last).rev() {
        let Some(cotangent) = cotangents[id - first] else {
            continue;
        };
        let (op, operands) = match &graph.nodes().nodes[id].source {
            Source::Op { op, operands } => (op.clone(), operands.clone()),
            _ => continue,
        };
        let wanted: Vec<bool> = operands
            .iter()
            .map(|operand| operand.0 >= first && depends[operand.0 - first])
            .collect();
        if !wanted.contains(&true) {
            continue;
        }
        let vars: Vec<Var<'g>> = operands.iter().map(|&operand| graph.var(operand)).collect();
        let gradients = op.gradient(&Gradient {
            operands: &vars,
            result: graph.var(NodeId(id)),
            cotangent,
            wanted: &wanted,
        });
        for ((operand, gradient), wanted) in vars.iter().zip(gradients).zip(wanted) {
            let (Some(gradient), true) = (gradient, wanted) else {
                continue;
            };
            if gradient.shape() != operand.shape() {
                graph.fail(Error::Shape(
                    Detail::new(
                        format!("gradient of {}", op.name()),
                        format!("the operand's shape {}", operand.shape()),
                        gradient.shape(),
                    )
                    .help("an op's gradient must have the shape of its operand"),
                ));
            }
            let sum = &mut cotangents[operand.id().0 - first];
            *sum = Some(match *sum {
                Some(earlier) => earlier + gradient,
                None => gradient,
            });
        }
        // A node that was asked for keeps its gradient; all others are done with theirs.
        if !asked.contains(&id) {
            cotangents[id - first] = None;
        }
    }
    wrt.iter()
        .map(|var| {
            let id = var.id().0;
            if id > last {
                None
            } else {
                cotangents[id - first]
            }
        })
        .collect()
}
