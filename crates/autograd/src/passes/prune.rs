//! Drops nodes that no output needs, and ops that only hand a value on.

use crate::ops::{Alias, StopGradient};
use crate::{Node, NodeId, Nodes, Source};

/// Only what the outputs are computed from, without [`Alias`]es.
pub fn prune(nodes: &Nodes) -> Nodes {
    let mut needed = vec![false; nodes.nodes.len()];
    for output in &nodes.outputs {
        needed[output.0] = true;
    }
    for (id, node) in nodes.iter().rev() {
        if needed[id.0] {
            for operand in node.operands() {
                needed[operand.0] = true;
            }
        }
    }
    let is_alias =
        |node: &Node| node.op_as::<Alias>().is_some() || node.op_as::<StopGradient>().is_some();
    nodes.rebuild(|made, id, node| {
        if !needed[id.0] {
            // Nobody asks for its number.
            return NodeId(usize::MAX);
        }
        match &node.source {
            Source::Op { operands, .. } if is_alias(&node) => operands[0],
            _ => made.push(node),
        }
    })
}
