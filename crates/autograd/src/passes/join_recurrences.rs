//! Computes a recurrence and what its gradient reads of it in one walk over the steps.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::node::Source;
use crate::ops::{Keep, Recurrence, Reshape, Slice};
use crate::{Node, NodeId, Nodes, Op, Shape};

/// A recurrence apart from what is kept of it: as its trace, with its operands.
type Whole = (Recurrence, Vec<NodeId>);

/// Where a recurrence is computed once for its result and once with the [trace](Keep::Trace) that its gradient reads, takes
/// the result from the trace; the bits are the same. Without a gradient no trace is there.
pub fn join_recurrences(nodes: &Nodes) -> Nodes {
    let traced = |node: &Node| {
        let op = *node.op_as::<Recurrence>()?;
        (op.keep == Keep::Trace).then(|| (op, node.operands().to_vec()))
    };
    let wholes: HashSet<Whole> = nodes.iter().filter_map(|(_, node)| traced(node)).collect();
    if wholes.is_empty() {
        return nodes.clone();
    }
    let mut joined: HashMap<Whole, NodeId> = HashMap::new();
    nodes.rebuild(|made, old, node| {
        let Some(&op) = node.op_as::<Recurrence>() else {
            return Some(made.push(node));
        };
        let whole = Recurrence {
            keep: Keep::Trace,
            ..op
        };
        let key = (whole, nodes.node(old).operands().to_vec());
        if !wholes.contains(&key) {
            return Some(made.push(node));
        }
        let trace = *joined.entry(key).or_insert_with(|| {
            let operands = node.operands().to_vec();
            let name = String::new();
            let like = Node {
                backward: false,
                name,
                ..node.clone()
            };
            push(made, &like, whole, operands)
        });
        Some(match op.keep {
            Keep::Trace => trace,
            keep => part(made, &node, trace, op, keep),
        })
    })
}

/// What `keep` says, of the trace.
fn part(made: &mut Nodes, node: &Node, trace: NodeId, op: Recurrence, keep: Keep) -> NodeId {
    let shape = made.node(trace).shape.clone();
    let size = |axis: usize| shape.dims()[axis].fixed().unwrap_or(0);
    let (steps, width) = (size(1), size(2) / op.cell.trace());
    let slice = |made: &mut Nodes, of: NodeId, axis: usize, range| {
        push(made, node, Slice { axis, range }, vec![of])
    };
    let kept = op.cell.kept(keep) * width;
    match keep {
        Keep::Last => {
            let last = slice(made, trace, 1, steps - 1..steps);
            let states = slice(made, last, 2, 0..kept);
            let shape = Shape::from([shape.dims()[0], kept.into()]);
            push(made, node, Reshape { shape }, vec![states])
        }
        _ => slice(made, trace, 2, 0..kept),
    }
}

/// A node of `op`, beside `like`.
fn push(made: &mut Nodes, like: &Node, op: impl Op, operands: Vec<NodeId>) -> NodeId {
    let shapes: Vec<&Shape> = operands.iter().map(|&id| &made.node(id).shape).collect();
    let shape = op.shape(&shapes);
    let node = Node {
        shape: shape.expect("the parts have been given the same operands"),
        source: Source::Op {
            op: Arc::new(op),
            operands,
        },
        ..like.clone()
    };
    made.push(node)
}
