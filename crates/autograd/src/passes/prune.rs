//! Drops nodes that no output needs, and aliases.

use crate::ops::Alias;
use crate::{NodeId, Nodes, Source};

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
    nodes.rebuild(|made, id, node| {
        if !needed[id.0] {
            // Nobody asks for its number.
            return NodeId(usize::MAX);
        }
        match &node.source {
            Source::Op { operands, .. } if node.op_as::<Alias>().is_some() => operands[0],
            _ => made.push(node),
        }
    })
}
