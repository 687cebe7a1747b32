//! Plans buffers: values that are never needed at the same time share one.

use std::sync::Arc;

use crate::node::Source;
use crate::ops::Alias;
use crate::{Node, NodeId, Nodes, Shape};

/// How many times as large as a value the free buffer may be that it takes.
const WASTE: usize = 2;

/// The batch size for which buffers are assigned where it is not known.
pub(crate) const TYPICAL_BATCH: usize = 32;

/// Which buffer each computed node writes to.
#[derive(Clone, Debug, Default)]
pub struct Slots {
    /// For each node the number of its buffer; `None` for leaves.
    pub slot: Vec<Option<usize>>,
    /// For each buffer the nodes that live in it, one after the other.
    pub tenants: Vec<Vec<NodeId>>,
    /// For each node whether it is written over its operand 0.
    pub in_place: Vec<bool>,
}

/// Assigns buffers greedily in the order of computation: over operand 0 where the op can and nobody
/// needs it any more, else the free buffer that fits best if it is not much too large, else a new one. Outputs keep theirs.
/// `batch` is the batch size for which the fit is judged.
pub fn assign_slots(nodes: &Nodes, batch: usize) -> Slots {
    let count = nodes.len();
    // The last node that reads each value; outputs are read after the end.
    let mut last_use = vec![0; count];
    for (id, node) in nodes.iter() {
        for operand in node.operands() {
            last_use[operand.0] = id.0;
        }
    }
    for output in nodes.outputs() {
        last_use[output.0] = count;
    }
    let mut slots = Slots {
        slot: vec![None; count],
        tenants: Vec::new(),
        in_place: vec![false; count],
    };
    let mut sizes: Vec<usize> = Vec::new();
    let mut free: Vec<usize> = Vec::new();
    for (id, node) in nodes.iter() {
        let Source::Op { op, operands } = &node.source else {
            continue;
        };
        let length = node.shape.len(batch);
        let over = operands.first().copied().filter(|&first| {
            op.works_in_place()
                && last_use[first.0] == id.0
                && slots.slot[first.0].is_some()
                && same_length(&nodes.node(first).shape, &node.shape)
                && operands.iter().filter(|&&operand| operand == first).count() == 1
        });
        let slot = match over.and_then(|first| slots.slot[first.0]) {
            Some(slot) => {
                slots.in_place[id.0] = true;
                slot
            }
            None => {
                // The smallest free buffer that is large enough, else the largest, which grows.
                let fit = |&(_, &slot): &(usize, &usize)| {
                    let size = sizes[slot];
                    if size >= length {
                        (0, size)
                    } else {
                        (1, usize::MAX - size)
                    }
                };
                // What may stay for long takes no much larger buffer with it.
                let may_take = |&(_, &slot): &(usize, &usize)| sizes[slot] <= WASTE * length;
                match free
                    .iter()
                    .enumerate()
                    .filter(may_take)
                    .min_by_key(fit)
                    .map(|(position, _)| position)
                {
                    Some(position) => free.swap_remove(position),
                    None => {
                        sizes.push(0);
                        slots.tenants.push(Vec::new());
                        sizes.len() - 1
                    }
                }
            }
        };
        sizes[slot] = sizes[slot].max(length);
        slots.slot[id.0] = Some(slot);
        slots.tenants[slot].push(id);
        let mut released: Vec<usize> = operands
            .iter()
            .filter(|operand| last_use[operand.0] == id.0)
            .filter_map(|operand| slots.slot[operand.0])
            .filter(|&other| other != slot)
            .collect();
        released.sort_unstable();
        released.dedup();
        free.extend(released);
        // A value that nobody reads (it cannot occur after pruning) frees its buffer at once.
        if last_use[id.0] == 0 {
            free.push(slot);
        }
    }
    slots
}

impl Slots {
    /// Bytes of all buffers for `batch` samples.
    pub(crate) fn bytes(tenants: &[Vec<NodeId>], nodes: &Nodes, batch: usize) -> usize {
        let length = |id: &NodeId| nodes.node(*id).shape.len(batch);
        let buffers = tenants.iter();
        4 * buffers
            .map(|tenants| tenants.iter().map(length).max().unwrap_or(0))
            .sum::<usize>()
    }
}

/// Gives outputs that are leaves a buffer of their own, which they are copied to.
pub(crate) fn copy_leaf_outputs(mut nodes: Nodes) -> Nodes {
    let mut outputs = nodes.outputs().to_vec();
    for output in &mut outputs {
        let leaf = nodes.node(*output);
        if leaf.op().is_none() {
            let data_type = leaf.data_type;
            let copy = Node {
                source: Source::Op {
                    op: Arc::new(Alias { data_type }),
                    operands: vec![*output],
                },
                ..leaf.clone()
            };
            *output = nodes.push(copy);
        }
    }
    nodes.with_outputs(outputs)
}

/// Whether two shapes have as many elements as each other, whatever the batch is.
fn same_length(a: &Shape, b: &Shape) -> bool {
    let batches = |shape: &Shape| {
        shape
            .dims()
            .iter()
            .filter(|dim| dim.fixed().is_none())
            .count()
    };
    batches(a) == batches(b) && a.len(1) == b.len(1)
}
