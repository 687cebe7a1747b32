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
        let zero = |wrt: &Var<'g>| self.backward(|| self.full(wrt.shape(), 0.0));
        Ok(gradients
            .map(|(gradient, wrt)| gradient.unwrap_or_else(|| zero(wrt)))
            .collect())
    }

    /// As [`grad`](Self::grad), with `None` for what no gradient reaches, and with the ops at which
    /// gradients stop. In drawings a gradient is called `d loss / d head/kernel`, by the names of the two.
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
        let gradients = self.backward(|| pull_back(self, loss, self.number(1.0), wrt));
        self.check()?;
        for (gradient, wrt) in gradients.values.iter().zip(wrt) {
            self.name_gradient(*gradient, loss, *wrt);
        }
        Ok(gradients)
    }

    /// Names a gradient after what it is the gradient of. One that is that of several values at once (of
    /// the terms of a sum) is named after the first.
    fn name_gradient(&self, gradient: Option<Var<'_>>, loss: Var<'_>, wrt: Var<'_>) {
        let name = |id: NodeId, unnamed: String| match self.nodes().node(id).name.as_str() {
            "" => unnamed,
            name => name.to_string(),
        };
        let Some(id) = gradient.map(Var::id) else {
            return;
        };
        let of = name(wrt.id(), format!("%{}", wrt.id().0));
        let name = format!("d {} / d {of}", name(loss.id(), "loss".to_string()));
        let is_free = {
            let nodes = self.nodes();
            let node = nodes.node(id);
            node.backward && node.op().is_some() && !node.name.starts_with("d ")
        };
        if is_free {
            self.rename(id, name);
        }
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

/// A value for each node of a stretch of the graph.
struct PerNode<T> {
    first: usize,
    values: Vec<T>,
}

impl<T: Clone> PerNode<T> {
    fn new(first: NodeId, last: NodeId, value: T) -> Self {
        PerNode {
            first: first.0,
            values: vec![value; (last.0 + 1).saturating_sub(first.0)],
        }
    }

    fn ids(&self) -> impl DoubleEndedIterator<Item = NodeId> + use<T> {
        (self.first..self.first + self.values.len()).map(NodeId)
    }

    /// The value of a node; `None` outside the stretch.
    fn slot(&mut self, id: NodeId) -> Option<&mut T> {
        self.values.get_mut(id.0.checked_sub(self.first)?)
    }
}

impl PerNode<bool> {
    /// Whether a node is in the stretch and marked.
    fn marks(&self, id: NodeId) -> bool {
        let place = id.0.checked_sub(self.first);
        place.and_then(|place| self.values.get(place)) == Some(&true)
    }

    fn mark(&mut self, id: NodeId) {
        if let Some(mark) = self.slot(id) {
            *mark = true;
        }
    }
}

/// Marks each node, from the first of `wrt` to `last`, that is one of `wrt` or computed from one.
/// Constants do not count.
fn depends_on(graph: &Graph, wrt: &[Var<'_>], last: NodeId) -> PerNode<bool> {
    let first = wrt.iter().map(|var| var.id()).min();
    let mut depends = PerNode::new(first.unwrap_or(NodeId(last.0 + 1)), last, false);
    for var in wrt.iter().filter(|var| !var.is_constant()) {
        depends.mark(var.id());
    }
    let nodes = graph.nodes();
    for id in depends.ids() {
        let mut operands = nodes.node(id).operands().iter();
        if operands.any(|&operand| depends.marks(operand)) {
            depends.mark(id);
        }
    }
    depends
}
impl<'g> Gradient<'g, '_> {
    /// The gradients of `expression` with respect to the operands: for a fused op whose value can
    /// also be written with simpler ops, of which the gradients are known.
    pub fn through(&self, expression: impl FnOnce(&[Var<'g>]) -> Var<'g>) -> Vec<Option<Var<'g>>> {
        // Fresh stand-ins cut the expression off from what lies below the operands; gradients
        // are made only for those that somebody asks for.
        let stand_ins: Vec<Var<'g>> = self
            .operands
            .iter()
            .map(|operand| operand.alias())
            .collect();
        let value = expression(&stand_ins);
        let wanted: Vec<Var<'g>> = self.pick_wanted(&stand_ins).collect();
        let graph = self.result.graph();
        let found = pull_back(graph, value, self.cotangent, &wanted);
        let mut found = found.values.into_iter();
        self.wanted
            .iter()
            .map(|&wanted| if wanted { found.next().flatten() } else { None })
            .collect()
    }

    fn pick_wanted(&self, vars: &[Var<'g>]) -> impl Iterator<Item = Var<'g>> {
        vars.iter()
            .zip(self.wanted)
            .filter(|(_, wanted)| **wanted)
            .map(|(var, _)| *var)
    }
}

/// Pulls `cotangent` (the gradient with respect to `value`) back to each of `wrt`: from the last node to
/// the first, each node's gradient is complete when it is reached, and its op hands it on to what it was
/// computed from.
pub(crate) fn pull_back<'g>(
    graph: &'g Graph,
    value: Var<'g>,
    cotangent: Var<'g>,
    wrt: &[Var<'g>],
) -> Gradients<'g> {
    let mut found = Gradients {
        values: vec![None; wrt.len()],
        stopped_at: Vec::new(),
    };
    let depends = depends_on(graph, wrt, value.id());
    if !depends.marks(value.id()) {
        return found;
    }
    let mut cotangents = PerNode::new(NodeId(depends.first), value.id(), None);
    let mut cotangent = Some(cotangent);
    for id in depends.ids().rev() {
        // The last node's is given, that of the others is the sum of what was handed on to them.
        let sum = cotangents.slot(id).and_then(Option::take);
        let Some(cotangent) = cotangent.take().or(sum) else {
            continue;
        };
        let asked = wrt.iter().zip(&mut found.values);
        asked
            .filter(|(var, _)| var.id() == id)
            .for_each(|(_, it)| *it = Some(cotangent));
        let name = graph.nodes().node(id).name.clone();
        graph.within(&name, || {
            for (operand, gradient) in
                hand_on(graph, id, cotangent, &depends, &mut found.stopped_at)
            {
                let sum = cotangents
                    .slot(operand)
                    .expect("what depends is in the stretch");
                *sum = Some(match *sum {
                    Some(earlier) => earlier + gradient,
                    None => gradient,
                });
            }
        });
    }
    found.stopped_at.dedup();
    found
}

/// The gradients with respect to those operands of node `id` on which something depends that is asked
/// for.
fn hand_on<'g>(
    graph: &'g Graph,
    id: NodeId,
    cotangent: Var<'g>,
    depends: &PerNode<bool>,
    stopped_at: &mut Vec<String>,
) -> Vec<(NodeId, Var<'g>)> {
    let (op, operands) = match &graph.nodes().node(id).source {
        Source::Op { op, operands } => (op.clone(), operands.clone()),
        _ => return Vec::new(),
    };
    let vars: Vec<Var<'g>> = operands.iter().map(|&operand| graph.var(operand)).collect();
    let mut wanted = Vec::with_capacity(vars.len());
    for var in &vars {
        let reached = depends.marks(var.id());
        // Integers do not move with what they were made of.
        let moves = var.data_type() == DataType::F32;
        if reached && !moves {
            stopped_at.push(described(graph, var.id()));
        }
        wanted.push(reached && moves);
    }
    if !wanted.contains(&true) {
        return Vec::new();
    }
    let gradients = op.gradient(&Gradient {
        operands: &vars,
        result: graph.var(id),
        cotangent,
        wanted: &wanted,
    });
    if gradients.len() != vars.len() {
        graph.fail(undeclared(graph, id, &*op, gradients.len()));
        return Vec::new();
    }
    let mut handed = Vec::with_capacity(vars.len());
    let wanted = vars.iter().zip(gradients).zip(wanted).filter(|(_, it)| *it);
    for ((operand, gradient), _) in wanted {
        let Some(gradient) = gradient else {
            stopped_at.push(described(graph, id));
            continue;
        };
        if gradient.shape() != operand.shape() {
            let at = format!("gradient of {}", op.name());
            let expected = format!("the operand's shape {}", operand.shape());
            let detail = Detail::new(at, expected, gradient.shape());
            let help = "an op's gradient must have the shape of its operand";
            graph.fail(Error::Shape(detail.help(help)));
        }
        handed.push((operand.id(), gradient));
    }
    handed
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
