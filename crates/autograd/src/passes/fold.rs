//! Computes what depends on constants alone, once, when a program is compiled.

use crate::node::{Constant, Source};
use crate::ops::{Multiply, Zip};
use crate::{Node, NodeId, Nodes, Origin, Run};

/// Replaces ops on constants by their results, and products with the number 1 by the other factor.
/// Repeated values are left to be repeated when the program runs: they would only take memory.
pub fn fold_constants(nodes: &Nodes) -> Nodes {
    nodes.rebuild(|made, _, node| {
        let factor = factor_of_one(made, &node);
        Some(factor.unwrap_or_else(|| match evaluated(made, &node) {
            Some(constant) => made.push(Node {
                source: Source::Constant(constant),
                origin: origin(made, &node),
                ..node
            }),
            None => made.push(node),
        }))
    })
}

/// The other operand of a product with the number 1, if it has the product's shape.
fn factor_of_one(made: &Nodes, node: &Node) -> Option<NodeId> {
    node.op_as::<Zip<Multiply>>()?;
    let &[a, b] = node.operands() else {
        return None;
    };
    let is_one = |id: NodeId| made.node(id).constant().and_then(Constant::as_number) == Some(1.0);
    let same = |id: NodeId| made.node(id).shape == node.shape;
    match (is_one(a) && same(b), is_one(b) && same(a)) {
        (true, _) => Some(b),
        (_, true) => Some(a),
        _ => None,
    }
}

/// Where the value of an op on constants comes from.
fn origin(made: &Nodes, node: &Node) -> Option<Origin> {
    let operands = node.operands().iter().map(|&id| made.node(id).origin());
    Origin::of_op(&**node.op()?, &operands.collect::<Option<Vec<Origin>>>()?)
}

/// As many elements may be computed from fewer: they take no memory to speak of.
const FEW: usize = 64;

fn evaluated(made: &Nodes, node: &Node) -> Option<Constant> {
    let op = node.op()?;
    let shape = node.shape.fixed()?;
    let constants: Vec<&Constant> = node
        .operands()
        .iter()
        .map(|&operand| made.node(operand).constant())
        .collect::<Option<_>>()?;
    let lengths = constants.iter().map(|constant| constant.words().len());
    let largest = lengths.max().unwrap_or(0).max(FEW);
    if op.is_random() || shape.iter().product::<usize>() > largest {
        return None;
    }
    // What is wrong with the values is reported when the program runs.
    crate::evaluate(&**op, &constants, &shape, node.data_type, Run::default()).ok()
}
