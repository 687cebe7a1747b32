//! Reverse-mode differentiation: from a number back to what it was computed from, as new nodes of
//! the same graph. Only nodes on a path between the two get a gradient: what is constant costs
//! nothing, because nothing is made for it.

use regraft_tensor::Detail;

use crate::node::Source;
use crate::op::Gradient;
use crate::{DataType, Error, Graph, NodeId, Op, Result, Var};

impl Graph {
    /// The gradients of `loss` with respect to each of `wrt`, as nodes of this graph, which can be
    /// differentiated again.
    ///
    /// Where `loss` does not depend on one of `wrt`, or no gradient passes, and for every constant, the
    /// gradient is zero; [`gradients`](Self::gradients) tells these apart.
    ///
    /// # Errors
    /// As [`gradients`](Self::gradients).
    pub fn grad<'g>(&'g self, loss: Var<'g>, wrt: &[Var<'g>]) -> Result<Vec<Var<'g>>> {
        let gradients = self.gradients(loss, wrt)?.values.into_iter().zip(wrt);
        Ok(gradients
            .map(|(gradient, wrt)| gradient.unwrap_or_else(|| self.full(wrt.shape(), 0.0)))
            .collect())
    }

    /// As [`grad`](Self::grad), with `None` for what no gradient reaches, and with the ops at which
    /// gradients stop.
    ///
    /// # Errors
    /// [`Error::Gradient`] if `loss` is not a single number, or if an op that declares no gradient
    /// ([`Op::gradient`](crate::Op::gradient)) stands between it and one of `wrt`; and the graph's own
    /// first error.
    pub fn gradients<'g>(&'g self, loss: Var<'g>, wrt: &[Var<'g>]) -> Result<Gradients<'g>> {
        self.check()?;
        if loss.shape().rank() != 0 {
            return Err(Error::Gradient(
                Detail::new("Graph::grad", "a loss of shape ()", loss.shape())
                    .help("reduce it with `sum_all()` or `mean_all()` first"),
            ));
        }
        let seed = self.number(1.0);
        let gradients = pull_back(self, loss, seed, wrt);
        self.check()?;
        Ok(gradients)
    }
}

/// What differentiation found.
#[derive(Clone, Debug, Default)]
pub struct Gradients<'g> {
    /// The gradient with respect to each value asked for; `None` where the loss does not depend on it,
    /// or depends on it only through ops that let no gradient pass.
    pub values: Vec<Option<Var<'g>>>,
    /// Those ops, by their paths and names: rounding, comparisons, what is made of integers.
    pub stopped_at: Vec<String>,
}

/// Pulls `cotangent` (the gradient with respect to `value`) back to each of `wrt`.
pub(crate) fn pull_back<'g>(
    graph: &'g Graph,
    value: Var<'g>,
    cotangent: Var<'g>,
    wrt: &[Var<'g>],
) -> Gradients<'g> {
    let unreached = || Gradients {
        values: vec![None; wrt.len()],
        stopped_at: Vec::new(),
    };
    let first = match wrt.iter().map(|var| var.id()).min() {
        Some(first) => first.0,
        None => return unreached(),
    };
    let last = value.id().0;
    if last < first {
        return unreached();
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
    let mut stopped_at: Vec<String> = Vec::new();
    let asked: Vec<usize> = wrt.iter().map(|var| var.id().0).collect();
    for id in (first..=last).rev() {
        let Some(cotangent) = cotangents[id - first] else {
            continue;
        };
        let (op, operands) = match &graph.nodes().nodes[id].source {
            Source::Op { op, operands } => (op.clone(), operands.clone()),
            _ => continue,
        };
        let vars: Vec<Var<'g>> = operands.iter().map(|&operand| graph.var(operand)).collect();
        let reached = |operand: &Var<'g>| {
            let id = operand.id().0;
            id >= first && depends[id - first]
        };
        // Integers do not move with what they were made of.
        let wanted: Vec<bool> = vars
            .iter()
            .map(|operand| reached(operand) && operand.data_type() == DataType::F32)
            .collect();
        let made_of = |operand: &&Var<'g>| reached(operand) && operand.data_type() != DataType::F32;
        stopped_at.extend(
            vars.iter()
                .filter(made_of)
                .map(|it| described(graph, it.id())),
        );
        if !wanted.contains(&true) {
            continue;
        }
        let gradients = op.gradient(&Gradient {
            operands: &vars,
            result: graph.var(NodeId(id)),
            cotangent,
            wanted: &wanted,
        });
        if gradients.len() != operands.len() {
            graph.fail(undeclared(graph, NodeId(id), &*op, gradients.len()));
            continue;
        }
        for ((operand, gradient), wanted) in vars.iter().zip(gradients).zip(wanted) {
            let gradient = match gradient {
                Some(gradient) if wanted => gradient,
                None if wanted => {
                    stopped_at.push(described(graph, NodeId(id)));
                    continue;
                }
                _ => continue,
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
    let of = |var: &Var<'g>| cotangents.get(var.id().0 - first).copied().flatten();
    stopped_at.dedup();
    Gradients {
        values: wrt.iter().map(of).collect(),
        stopped_at,
    }
}

/// The error of an op between the loss and what is asked for that does not say how it is
/// differentiated.
fn undeclared(graph: &Graph, id: NodeId, op: &dyn Op, given: usize) -> Error {
    let at = described(graph, id);
    let operands = graph.nodes().node(id).operands().len();
    Error::Gradient(match given {
        0 => Detail::new(
            at,
            "an op with a gradient between the loss and what is trained",
            format!("`{}`, which declares none", op.name()),
        )
        .help(
            "write `Op::gradient`; if no gradient shall pass, let it return `Gradient::none`, or \
             freeze what lies below",
        ),
        given => Detail::new(
            at,
            format!("a gradient or `None` for each of {operands} operands"),
            format!("{given} from `{}`", op.name()),
        ),
    })
}

/// The path and the name of an op.
fn described(graph: &Graph, id: NodeId) -> String {
    let nodes = graph.nodes();
    let node = nodes.node(id);
    let op = node.op().map_or("", |op| op.name());
    match (node.name.as_str(), op) {
        ("", op) => op.to_string(),
        (path, "") => path.to_string(),
        (path, op) => format!("{path} ({op})"),
    }
}
