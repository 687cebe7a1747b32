//! Computes the same thing once: nodes with the same op on the same operands become one.

use std::any::{Any, TypeId};
use std::collections::HashMap;

use crate::node::{Constant, Source};
use crate::{Attributes, NodeId, Nodes, Shape, VariableId};

/// What nodes of the same value have in common.
#[derive(PartialEq, Eq, Hash)]
enum Identity {
    /// The type and the settings of the op, the operands, and the result's shape.
    Op(TypeId, Attributes, Vec<NodeId>, Shape),
    /// The bits of a single number.
    Number(u32),
    Variable(VariableId),
}

/// Merges nodes that compute the same value: the same op, by its type and its
/// [`attributes`](crate::Op::attributes), on the same operands. Ops that declare no attributes, random
/// ops, and constants of more than one number are left alone (equal arrays are rare and comparing them
/// is not).
pub fn share(nodes: &Nodes) -> Nodes {
    let mut known: HashMap<Identity, NodeId> = HashMap::new();
    nodes.rebuild(|made, _, node| {
        let key = match &node.source {
            Source::Op { op, operands } if !op.is_random() => op.attributes().map(|attributes| {
                let op: &dyn Any = &**op;
                Identity::Op(
                    op.type_id(),
                    attributes,
                    operands.clone(),
                    node.shape.clone(),
                )
            }),
            Source::Constant(Constant::F32(value)) if value.ndim() == 0 => {
                Some(Identity::Number(value.as_slice()[0].to_bits()))
            }
            Source::Variable(id) => Some(Identity::Variable(*id)),
            _ => None,
        };
        Some(match key {
            None => made.push(node),
            Some(key) => *known.entry(key).or_insert_with(|| made.push(node)),
        })
    })
}
