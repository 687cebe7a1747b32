//! Leaves out a broadcast in front of an op that broadcasts itself: a mean's gradient, say, stays one
//! number instead of an array full of it.

use crate::node::Source;
use crate::ops::{BroadcastTo, Reshape};
use crate::{Nodes, Shape};

/// Lets ops that [broadcast](crate::Op::broadcasts) read an operand as it was before
/// [`BroadcastTo`] repeated it, where their result keeps its shape.
pub fn skip_broadcasts(nodes: &Nodes) -> Nodes {
    let skipped = nodes.rebuild(|made, _, mut node| {
        let Source::Op { op, operands } = &mut node.source else {
            return Some(made.push(node));
        };
        if op.broadcasts() {
            for position in 0..operands.len() {
                let mut narrow = operands[position];
                while let Some(before) = unrepeated(made, narrow) {
                    narrow = before;
                }
                let earlier = std::mem::replace(&mut operands[position], narrow);
                let shapes: Vec<&Shape> = operands.iter().map(|&id| &made.node(id).shape).collect();
                if op.shape(&shapes).as_ref() != Ok(&node.shape) {
                    operands[position] = earlier;
                }
            }
        }
        Some(made.push(node))
    });
    super::prune(&skipped)
}

/// The operand of a broadcast, or of a reshape that only puts axes of size 1 in front.
fn unrepeated(nodes: &Nodes, id: crate::NodeId) -> Option<crate::NodeId> {
    let node = nodes.node(id);
    let &[operand] = node.operands() else {
        return None;
    };
    let puts_ones_in_front = || {
        let ones = node
            .shape
            .rank()
            .checked_sub(nodes.node(operand).shape.rank());
        node.op_as::<Reshape>().is_some()
            && ones.is_some_and(|ones| {
                let (front, rest) = node.shape.dims().split_at(ones);
                front.iter().all(|dim| *dim == 1.into()) && rest == nodes.node(operand).shape.dims()
            })
    };
    (node.op_as::<BroadcastTo>().is_some() || puts_ones_in_front()).then_some(operand)
}
