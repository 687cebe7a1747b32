//! Computes the same thing once: nodes with the same op on the same operands become one.

use std::collections::HashMap;

use crate::node::{Constant, Source};
use crate::{NodeId, Nodes};

/// Merges nodes that compute the same value. Random ops and constants of more than one number are
/// left alone (equal arrays are rare and comparing them is not).
pub fn share(nodes: &Nodes) -> Nodes {
    let mut known: HashMap<(String, Vec<NodeId>), NodeId> = HashMap::new();
    nodes.rebuild(|made, _, node| {
        let key = match &node.source {
            // An op's `Debug` form shows all its settings, so equal forms compute equal values.
            Source::Op { op, operands } if !op.is_random() => {
                Some((format!("{op:?} {:?}", node.shape), operands.clone()))
            }
            Source::Constant(Constant::F32(value)) if value.ndim() == 0 => {
                Some((format!("{:08x}", value.as_slice()[0].to_bits()), Vec::new()))
            }
            Source::Variable(id) => Some((format!("{id:?}"), Vec::new())),
            _ => None,
        };
        match key {
            None => made.push(node),
            Some(key) => *known.entry(key).or_insert_with(|| made.push(node)),
        }
    })
}
