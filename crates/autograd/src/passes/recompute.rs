//! Computes values of the forward pass again in the backward pass instead of keeping them until then (gradient
//! checkpointing), where buffers would take more memory than they may. It is no pass of [`ALL`](super::ALL): it knows a
//! batch size and a limit, and [`share`](super::share) would undo it, so it is run last.
//!
//! The forward pass is cut into runs of ops. Of the first runs only what later runs read is kept; their values are
//! computed again from that when the backward pass comes to them, each once. An op gives the same bits again, random
//! ones too, which draw by stream and step; so nothing changes but memory and time.

use super::liveness::{Slots, TYPICAL_BATCH, assign_slots, copy_leaf_outputs};
use crate::node::Source;
use crate::{Node, NodeId, Nodes};

/// The least bytes of buffers that were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeastMemory(pub usize);

/// The nodes with as little computed again as is found to keep the buffers for `batch` samples within `limit` bytes;
/// as they are if they fit.
///
/// # Errors
/// The least that was found, if that is more.
pub fn recompute(nodes: &Nodes, batch: usize, limit: usize) -> Result<Nodes, LeastMemory> {
    let mut least = bytes(nodes, batch);
    if least <= limit {
        return Ok(nodes.clone());
    }
    let forward = Forward::of(nodes, batch);
    let mut best: Option<(u64, Nodes)> = None;
    let mut attempt = |kept: &[bool]| {
        let made = with_recomputed(nodes, kept);
        let needed = bytes(&made, batch);
        least = least.min(needed);
        let fits = needed <= limit;
        if fits {
            let operations = made.flops(batch);
            if best.as_ref().is_none_or(|(fewest, _)| operations < *fewest) {
                best = Some((operations, made));
            }
        }
        fits
    };
    // What takes as long to read as to compute, everywhere: the cheapest way.
    attempt(&forward.products(nodes, batch));
    let mut known = Vec::new();
    for parts in [2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64] {
        let cuts = forward.cuts(parts);
        if known.contains(&cuts) {
            continue;
        }
        // The fewest of the first runs that have to be computed again; never the last, whose values are needed at once.
        let (mut few, mut many) = (1, cuts.len());
        if many == 0 || !attempt(&forward.kept(nodes, &cuts, many)) {
            known.push(cuts);
            continue;
        }
        while few < many {
            let middle = usize::midpoint(few, many);
            match attempt(&forward.kept(nodes, &cuts, middle)) {
                true => many = middle,
                false => few = middle + 1,
            }
        }
        known.push(cuts);
    }
    match best {
        Some((_, made)) => Ok(made),
        None => Err(LeastMemory(least)),
    }
}

/// Bytes of all buffers of a program of these nodes.
fn bytes(nodes: &Nodes, batch: usize) -> usize {
    let nodes = copy_leaf_outputs(nodes.clone());
    let slots = assign_slots(&nodes, TYPICAL_BATCH);
    Slots::bytes(&slots.tenants, &nodes, batch)
}

fn is_forward(node: &Node) -> bool {
    node.op().is_some() && !node.backward
}

/// The ops of the forward pass, in order.
struct Forward {
    ops: Vec<NodeId>,
    /// Bytes of each that the backward pass reads.
    read: Vec<usize>,
    /// Bytes that are read behind each by later ops of the forward pass.
    crossing: Vec<usize>,
    /// For each node its place among the ops, and that of the last op of the forward pass that reads it.
    place: Vec<usize>,
    last_read: Vec<usize>,
}

impl Forward {
    fn of(nodes: &Nodes, batch: usize) -> Self {
        let ops = nodes.iter().filter(|(_, node)| is_forward(node));
        let ops: Vec<NodeId> = ops.map(|(id, _)| id).collect();
        let mut place = vec![0; nodes.len()];
        for (at, id) in ops.iter().enumerate() {
            place[id.0] = at;
        }
        let mut last_read = place.clone();
        let mut is_read = vec![false; nodes.len()];
        for (id, node) in nodes.iter() {
            for operand in node.operands() {
                match is_forward(node) {
                    true => last_read[operand.0] = last_read[operand.0].max(place[id.0]),
                    false => is_read[operand.0] = true,
                }
            }
        }
        let size = |id: NodeId| 4 * nodes.node(id).shape.len(batch);
        let read = ops
            .iter()
            .map(|&id| if is_read[id.0] { size(id) } else { 0 });
        // What begins to cross at a place, and what ends before one.
        let mut changes = vec![0_isize; ops.len() + 1];
        for &id in &ops {
            changes[place[id.0]] += size(id) as isize;
            changes[last_read[id.0]] -= size(id) as isize;
        }
        let mut crossing = 0;
        let crossing = changes.iter().take(ops.len()).map(|change| {
            crossing += change;
            crossing as usize
        });
        Forward {
            read: read.collect(),
            crossing: crossing.collect(),
            ops,
            place,
            last_read,
        }
    }

    /// Keeps what costs more to compute than to read.
    fn products(&self, nodes: &Nodes, batch: usize) -> Vec<bool> {
        const CHEAP: u64 = 16;
        let mut kept = vec![true; nodes.len()];
        for &id in &self.ops {
            let node = nodes.node(id);
            let sizes = node.operands().iter();
            let sizes: Vec<Vec<usize>> = sizes
                .map(|&operand| nodes.node(operand).shape.concrete(batch))
                .collect();
            let operands: Vec<&[usize]> = sizes.iter().map(Vec::as_slice).collect();
            let own = node.shape.concrete(batch);
            let operations = node.op().map_or(0, |op| op.flops(&operands, &own));
            let read: usize = sizes
                .iter()
                .map(|sizes| sizes.iter().product::<usize>())
                .sum();
            let moved = read + own.iter().product::<usize>();
            kept[id.0] = operations > CHEAP * moved as u64;
        }
        kept
    }

    /// Cuts the ops into about so many runs, of which the backward pass reads as much each, where little crosses: the
    /// places of the last ops of all runs but the last.
    fn cuts(&self, parts: usize) -> Vec<usize> {
        let most = self.read.iter().sum::<usize>() / parts;
        let mut cuts = Vec::new();
        let mut from = 0;
        let mut reads = 0;
        let mut at = 0;
        while at < self.ops.len() {
            reads += self.read[at];
            at += 1;
            if reads <= most || at == self.ops.len() {
                continue;
            }
            // The second half of what has been gone through.
            let mut behind = 0;
            let tail = (from..at).rev().take_while(|&place| {
                behind += self.read[place];
                behind <= reads / 2
            });
            let cut = tail.min_by_key(|&place| (self.crossing[place], usize::MAX - place));
            let cut = cut.unwrap_or(at - 1);
            cuts.push(cut);
            (from, at, reads) = (cut + 1, cut + 1, 0);
        }
        cuts
    }

    /// Which nodes are kept if the first `runs` runs are computed again: all others, and what crosses a cut.
    fn kept(&self, nodes: &Nodes, cuts: &[usize], runs: usize) -> Vec<bool> {
        let mut kept = vec![true; nodes.len()];
        for &id in &self.ops {
            let run = cuts.partition_point(|&cut| cut < self.place[id.0]);
            kept[id.0] = run >= runs || self.last_read[id.0] > cuts[run];
        }
        kept
    }
}

/// Lets the backward pass read copies of those values of the forward pass that are not `kept`, computed when the first
/// of them is needed. Outputs are kept in any case.
fn with_recomputed(nodes: &Nodes, kept: &[bool]) -> Nodes {
    let mut again: Vec<bool> = nodes
        .iter()
        .map(|(id, node)| is_forward(node) && !kept[id.0])
        .collect();
    for output in nodes.outputs() {
        again[output.0] = false;
    }
    let mut made = Nodes::default();
    let mut first: Vec<NodeId> = Vec::with_capacity(nodes.len());
    let mut second: Vec<Option<NodeId>> = vec![None; nodes.len()];
    for (_, node) in nodes.iter() {
        let mut node = node.clone();
        if let (true, Source::Op { operands, .. }) = (node.backward, &node.source) {
            for &operand in operands.iter().filter(|operand| again[operand.0]) {
                compute_again(nodes, operand, &again, &first, &mut second, &mut made);
            }
        }
        let backward = node.backward;
        if let Source::Op { operands, .. } = &mut node.source {
            for operand in operands {
                let copy = second[operand.0].filter(|_| backward);
                *operand = copy.unwrap_or(first[operand.0]);
            }
        }
        first.push(made.push(node));
    }
    let outputs = nodes.outputs().iter().map(|output| first[output.0]);
    let outputs = outputs.collect();
    super::prune(&made.with_outputs(outputs))
}

/// Adds a copy of a node, and of all below it that is not kept.
fn compute_again(
    nodes: &Nodes,
    id: NodeId,
    again: &[bool],
    first: &[NodeId],
    second: &mut [Option<NodeId>],
    made: &mut Nodes,
) {
    let mut open = vec![id];
    while let Some(&id) = open.last() {
        if second[id.0].is_some() {
            open.pop();
            continue;
        }
        let operands = nodes.node(id).operands().iter();
        let missing = operands.filter(|it| again[it.0] && second[it.0].is_none());
        let before = open.len();
        open.extend(missing);
        if open.len() > before {
            continue;
        }
        open.pop();
        let mut node = nodes.node(id).clone();
        node.backward = true;
        if let Source::Op { operands, .. } = &mut node.source {
            for operand in operands {
                *operand = second[operand.0].unwrap_or(first[operand.0]);
            }
        }
        second[id.0] = Some(made.push(node));
    }
}
