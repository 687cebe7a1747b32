//! Drops nodes that no output needs, and ops that only hand a value on.

use crate::ops::{Alias, Assign, StopGradient};
use crate::{Node, Nodes};

/// Only what the outputs are computed from, without ops that only hand a value on.
pub fn prune(nodes: &Nodes) -> Nodes {
    let needed = nodes.needed();
    // Which operand an op hands on.
    let handed_on = |node: &Node| match node {
        _ if node.op_as::<Alias>().is_some() || node.op_as::<StopGradient>().is_some() => Some(0),
        _ => node.op_as::<Assign>().map(|_| 1),
    };
    nodes.rebuild(|made, id, node| {
        needed[id.0].then(|| match handed_on(&node) {
            Some(index) => node.operands()[index],
            None => made.push(node),
        })
    })
}
