//! Fuses a matrix product or convolution with the bias and the activation after it, and packs constant weights
//! once instead of at each call.

use std::sync::Arc;

use regraft_tensor::kernels::matmul::{EpilogueActivation, Matrix, PackedMatrix};

use regraft_tensor::Tensor;

use crate::node::{Constant, Source};
use crate::ops::{
    Add, Convolution, FusedConvolution, FusedMatMul, Gelu, GeluTanh, LeakyRelu, Map, MatMul, Relu,
    Sigmoid, Silu, Tanh, Zip,
};
use crate::{Node, NodeId, Nodes, Op};

/// Replaces `product`, `product + bias` and an activation of one of these by one op each, where nothing else
/// needs the values in between.
pub fn fuse(nodes: &Nodes) -> Nodes {
    let uses = nodes.uses();
    // For each node of the original list that is absorbed into a later one: nothing is made for it
    // until that one is reached, which then makes the whole.
    let mut absorbed = vec![false; nodes.nodes.len()];
    for (_, node) in nodes.iter() {
        for operand in absorbable(nodes, node, &uses) {
            absorbed[operand.0] = true;
        }
    }
    let mut renumbered: Vec<NodeId> = Vec::with_capacity(nodes.nodes.len());
    let mut made = Nodes::default();
    for (id, node) in nodes.iter() {
        if absorbed[id.0] {
            renumbered.push(NodeId(usize::MAX));
            continue;
        }
        let mut node = node.clone();
        if let Some((op, operands)) = fused(nodes, id, &uses) {
            node.source = Source::Op { op, operands };
        }
        if let Source::Op { operands, .. } = &mut node.source {
            for operand in operands {
                *operand = renumbered[operand.0];
            }
        }
        renumbered.push(made.push(node));
    }
    made.outputs = nodes.outputs.iter().map(|id| renumbered[id.0]).collect();
    // A weight that was packed is no longer an operand.
    super::prune(&made)
}

/// The operands of `node` that are computed for it alone and become part of it.
fn absorbable(nodes: &Nodes, node: &Node, uses: &[usize]) -> Vec<NodeId> {
    let sole = |id: NodeId| uses[id.0] == 1;
    if activation(node).is_some() {
        let inner = node.operands()[0];
        let fits =
            sole(inner) && (is_product(nodes, inner) || biased(nodes, inner, uses).is_some());
        return if fits { vec![inner] } else { Vec::new() };
    }
    match biased_node(nodes, node, uses) {
        Some((product, _)) => vec![product],
        None => Vec::new(),
    }
}

/// The activation that a node applies to its operand, if a product can do it. A product's activation
/// has the same bits as the op.
fn activation(node: &Node) -> Option<EpilogueActivation> {
    if let Some(Map(LeakyRelu { slope })) = node.op_as() {
        return Some(EpilogueActivation::LeakyRelu(*slope));
    }
    let known = [
        (
            node.op_as::<Map<Relu>>().is_some(),
            EpilogueActivation::Relu,
        ),
        (
            node.op_as::<Map<Sigmoid>>().is_some(),
            EpilogueActivation::Sigmoid,
        ),
        (
            node.op_as::<Map<Tanh>>().is_some(),
            EpilogueActivation::Tanh,
        ),
        (
            node.op_as::<Map<Silu>>().is_some(),
            EpilogueActivation::Silu,
        ),
        (
            node.op_as::<Map<Gelu>>().is_some(),
            EpilogueActivation::Gelu,
        ),
        (
            node.op_as::<Map<GeluTanh>>().is_some(),
            EpilogueActivation::GeluTanh,
        ),
    ];
    let found = known.into_iter().find(|(is, _)| *is);
    found
        .map(|(_, activation)| activation)
        .or_else(|| node.op()?.epilogue())
}

fn is_product(nodes: &Nodes, id: NodeId) -> bool {
    let node = nodes.node(id);
    node.op_as::<MatMul>().is_some() || node.op_as::<Convolution>().is_some()
}

/// The product and the bias of `product + bias`.
fn biased(nodes: &Nodes, id: NodeId, uses: &[usize]) -> Option<(NodeId, NodeId)> {
    biased_node(nodes, nodes.node(id), uses)
}

fn biased_node(nodes: &Nodes, node: &Node, uses: &[usize]) -> Option<(NodeId, NodeId)> {
    node.op_as::<Zip<Add>>()?;
    let &[product, bias] = node.operands() else {
        return None;
    };
    let columns = nodes.node(product).shape.dims().last().copied()?;
    let fits = is_product(nodes, product)
        && uses[product.0] == 1
        && nodes.node(bias).shape.dims() == [columns];
    fits.then_some((product, bias))
}

/// The fused op that stands for node `id`, with operands numbered as in `nodes`.
fn fused(nodes: &Nodes, id: NodeId, uses: &[usize]) -> Option<(Arc<dyn Op>, Vec<NodeId>)> {
    let node = nodes.node(id);
    let (inner, activation) = match activation(node) {
        Some(activation) if uses[node.operands()[0].0] == 1 => (node.operands()[0], activation),
        Some(_) => return None,
        None => (id, EpilogueActivation::None),
    };
    let (product, bias) = match biased(nodes, inner, uses) {
        Some((product, bias)) => (product, Some(bias)),
        None => (inner, None),
    };
    let &[a, b] = nodes.node(product).operands() else {
        return None;
    };
    let weight = nodes.node(b).constant().and_then(Constant::f32);
    let mut operands = vec![a];
    if weight.is_none() {
        operands.push(b);
    }
    operands.extend(bias);
    let bias = bias.is_some();
    if let Some(&Convolution { window, groups }) = nodes.node(product).op_as() {
        let op = FusedConvolution::new(window, groups, weight, bias, activation);
        return Some((Arc::new(op), operands));
    }
    let transposed = nodes.node(product).op_as::<MatMul>()?.transposed;
    let op = FusedMatMul {
        packed: weight.and_then(|weight| pack(weight, transposed)),
        transposed,
        bias,
        activation,
    };
    Some((Arc::new(op), operands))
}

fn pack(weight: &Tensor, transposed: bool) -> Option<Arc<PackedMatrix>> {
    let &[rows, columns] = weight.shape() else {
        return None;
    };
    let matrix = Matrix::new(weight.as_slice(), rows, columns);
    let matrix = if transposed {
        matrix.transposed()
    } else {
        matrix
    };
    Some(Arc::new(PackedMatrix::new(matrix)))
}
