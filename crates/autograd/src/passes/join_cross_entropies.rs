//! Computes a softmax cross-entropy and its gradient from the same exponentials.

use std::collections::HashMap;
use std::sync::Arc;

use crate::node::Source;
use crate::ops::{
    CrossEntropyGradientOfBoth, CrossEntropyOfBoth, SoftmaxAndCrossEntropy, SoftmaxCrossEntropy,
    SoftmaxCrossEntropyGradient,
};
use crate::{Node, NodeId, Nodes, Op};

/// What of a cross-entropy is asked for.
#[derive(Clone, Copy, Default)]
struct Asked {
    loss: bool,
    gradient: bool,
}

/// Where both the loss and the gradient of the same logits and labels are computed, lets one op find the probabilities
/// and the losses, and two cheap ones take them from it; the bits are the same.
pub fn join_cross_entropies(nodes: &Nodes) -> Nodes {
    let mut asked: HashMap<&[NodeId], Asked> = HashMap::new();
    for (_, node) in nodes.iter() {
        let (loss, gradient) = (is_loss(node), is_gradient(node));
        if loss || gradient {
            let of = asked.entry(&node.operands()[..2]).or_default();
            of.loss |= loss;
            of.gradient |= gradient;
        }
    }
    asked.retain(|_, asked| asked.loss && asked.gradient);
    if asked.is_empty() {
        return nodes.clone();
    }
    let mut joined: HashMap<Vec<NodeId>, NodeId> = HashMap::new();
    nodes.rebuild(|made, old, mut node| {
        let is_part = is_loss(&node) || is_gradient(&node);
        if !is_part || !asked.contains_key(&nodes.node(old).operands()[..2]) {
            return Some(made.push(node));
        }
        let (logits, labels) = (node.operands()[0], node.operands()[1]);
        let both = joined
            .entry(vec![logits, labels])
            .or_insert_with(|| made.push(both_of(made, &node)));
        let mut operands = vec![*both];
        let op: Arc<dyn Op> = match is_gradient(&node) {
            true => {
                operands.extend(&node.operands()[1..]);
                Arc::new(CrossEntropyGradientOfBoth)
            }
            false => Arc::new(CrossEntropyOfBoth),
        };
        node.source = Source::Op { op, operands };
        Some(made.push(node))
    })
}

fn is_loss(node: &Node) -> bool {
    node.op_as::<SoftmaxCrossEntropy>().is_some()
}

fn is_gradient(node: &Node) -> bool {
    node.op_as::<SoftmaxCrossEntropyGradient>().is_some()
}

/// The node that has what both have in common, of which `part` is one.
fn both_of(made: &Nodes, part: &Node) -> Node {
    let operands = part.operands()[..2].to_vec();
    let shapes: Vec<_> = operands.iter().map(|&id| &made.node(id).shape).collect();
    let shape = SoftmaxAndCrossEntropy.shape(&shapes);
    Node {
        shape: shape.expect("the parts have been given the same operands"),
        source: Source::Op {
            op: Arc::new(SoftmaxAndCrossEntropy),
            operands,
        },
        name: String::new(),
        backward: false,
        ..part.clone()
    }
}
