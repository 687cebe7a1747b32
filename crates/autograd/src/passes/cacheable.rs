//! Finds the frozen prefix: what depends only on the sample and on constants, and so has the same
//! value in every epoch. [`split`] cuts it off, so that it is run once per sample and its results
//! are kept.

use crate::node::Source;
use crate::{Node, NodeId, Nodes};

/// For each node whether its row `i` depends on sample `i` and constants alone, without randomness,
/// bit for bit. Constants count as cacheable too.
pub fn cacheable(nodes: &Nodes) -> Vec<bool> {
    cacheable_from(nodes, None)
}

/// As [`cacheable`], where only the first `sample_inputs` inputs, if that is told, are what is kept for:
/// what depends on others (targets, sample weights) is not.
pub(super) fn cacheable_from(nodes: &Nodes, sample_inputs: Option<usize>) -> Vec<bool> {
    let input = |index, node: &Node| {
        sample_inputs.is_none_or(|count| index < count) && node.shape.is_batch_first()
    };
    rows_of_samples(nodes, input, false)
}

/// Whether a sample's rows of all values depend on it, constants and variables alone, without randomness,
/// bit for bit: it may be run in any batch.
pub fn keeps_samples_apart(nodes: &Nodes) -> bool {
    let apart = rows_of_samples(nodes, |_, node| node.shape.is_batch_first(), true);
    let outputs = nodes.outputs().iter();
    apart.into_iter().all(|apart| apart)
        && outputs
            .map(|&output| nodes.node(output))
            .all(|node| node.shape.is_batch_first())
}

/// For each node whether its row `i`, or all of it if it has none, depends on sample `i` of such inputs, on
/// constants and perhaps on variables alone.
fn rows_of_samples(
    nodes: &Nodes,
    input: impl Fn(usize, &Node) -> bool,
    variables: bool,
) -> Vec<bool> {
    let mut rows: Vec<bool> = Vec::with_capacity(nodes.len());
    for (_, node) in nodes.iter() {
        let is = match &node.source {
            Source::Input { index } => input(*index, node),
            Source::Constant(_) => true,
            Source::Variable(_) => variables,
            Source::Op { op, operands } => {
                let of_constants = node.shape.fixed().is_some();
                !op.is_random()
                    && operands.iter().all(|operand| rows[operand.0])
                    && match of_constants {
                        // A value of fixed shape computed from samples mixes them.
                        true => operands
                            .iter()
                            .all(|&operand| is_fixed(nodes.node(operand))),
                        false => op.keeps_samples_apart() && node.shape.is_batch_first(),
                    }
            }
        };
        rows.push(is);
    }
    rows
}

fn is_fixed(node: &Node) -> bool {
    node.shape.fixed().is_some()
}

/// A program cut in two at the end of its frozen prefix.
#[derive(Clone, Debug)]
pub struct Split {
    /// From the inputs to the features: the outputs are one row per sample each.
    pub prefix: Nodes,
    /// From the features (its last inputs) and the other inputs to the original outputs.
    pub rest: Nodes,
    /// The numbers of the inputs that the rest still takes, as in the whole; each keeps its
    /// position. The features are fed after them.
    pub rest_inputs: Vec<usize>,
    /// The number of inputs of the whole; feature `i` is fed at position `input_count + i`.
    pub input_count: usize,
}

/// Cuts off the frozen prefix, if there is one: if an op that costs something depends on samples and
/// constants alone.
pub fn split(nodes: &Nodes, input_count: usize) -> Option<Split> {
    split_at(nodes, input_count, input_count)
}

/// As [`split`], where only what depends on the first `sample_inputs` inputs (and on constants) can
/// be kept: a loss of frozen layers alone depends on the targets too, which are fed at each step.
pub fn split_at(nodes: &Nodes, sample_inputs: usize, input_count: usize) -> Option<Split> {
    let cacheable = cacheable_from(nodes, Some(sample_inputs));
    let per_sample = |id: NodeId| cacheable[id.0] && nodes.node(id).shape.is_batch_first();
    // Features are the cacheable results that something not cacheable, or the caller, uses.
    let mut is_feature = vec![false; nodes.len()];
    for (id, node) in nodes.iter() {
        if !cacheable[id.0] {
            for &operand in node.operands() {
                is_feature[operand.0] |= per_sample(operand) && nodes.node(operand).op().is_some();
            }
        }
    }
    for &output in nodes.outputs() {
        is_feature[output.0] |= per_sample(output) && nodes.node(output).op().is_some();
    }
    let features: Vec<NodeId> = nodes
        .iter()
        .map(|(id, _)| id)
        .filter(|id| is_feature[id.0])
        .collect();
    if features.is_empty() {
        return None;
    }
    let mut rest = nodes.clone();
    for (position, &feature) in features.iter().enumerate() {
        rest.feed(feature, input_count + position);
    }
    let prefix = nodes.clone().with_outputs(features);
    let rest = super::prune(&rest);
    let inputs = rest.iter().filter_map(|(_, node)| match node.source {
        Source::Input { index } if index < input_count => Some(index),
        _ => None,
    });
    let mut rest_inputs: Vec<usize> = inputs.collect();
    rest_inputs.sort_unstable();
    Some(Split {
        prefix: super::prune(&prefix),
        rest,
        rest_inputs,
        input_count,
    })
}
