//! Drops nodes that no output needs, and ops that only hand a value on.

use crate::ops::{Alias, Assign, StopGradient};
use crate::{Node, NodeId, Nodes, Source};

/// Only what the outputs are computed from, without ops that only hand a value on.
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
    // Which operand an op hands on.
    let handed_on = |node: &Node| match node {
        _ if node.op_as::<Alias>().is_some() || node.op_as::<StopGradient>().is_some() => Some(0),
        _ => node.op_as::<Assign>().map(|_| 1),
    };
    nodes.rebuild(|made, id, node| {
        if !needed[id.0] {
            // Nobody asks for its number.
            return NodeId(usize::MAX);
        }
        match (&node.source, handed_on(&node)) {
            (Source::Op { operands, .. }, Some(index)) => operands[index],
            _ => made.push(node),
        }
    })
}
