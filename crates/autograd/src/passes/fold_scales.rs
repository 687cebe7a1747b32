//! Folds constant factors and offsets per output feature, such as those of a frozen batch
//! normalization, into the constant weights of the product before them.
//!
//! `(x ∗ w + b) · s + t` becomes `x ∗ (w · s) + (b · s + t)`. That rounds differently in the last bits,
//! so this pass is the one that keeps numbers but for rounding; it depends on nothing but the graph, so
//! a program always computes the same.

use regraft_tensor::Tensor;

use crate::node::{Constant, Source};
use crate::ops::{Add, Convolution, MatMul, Multiply, Zip};
use crate::{Dim, Node, NodeId, Nodes, Origin};

/// Folds factors and offsets into products with constant weights, where nothing else needs the
/// values in between.
pub fn fold_scales(nodes: &Nodes) -> Nodes {
    let uses = nodes.uses();
    // Positions in the old list stand for the made node of the same value until it is rewritten.
    let mut only_use: Vec<bool> = Vec::with_capacity(nodes.len());
    let rebuilt = nodes.rebuild(|made, id, node| {
        let rewritten = scaled(made, &node, &only_use).or_else(|| shifted(made, &node, &only_use));
        let new = rewritten.unwrap_or_else(|| made.push(node));
        only_use.resize(made.len(), false);
        only_use[new.0] = uses[id.0] == 1;
        Some(new)
    });
    // The unscaled products are no longer asked for.
    super::prune(&rebuilt)
}

/// One number per feature.
struct Features {
    values: Vec<f32>,
    origin: Option<Origin>,
}

/// `value` and the constant of one number per feature that it is combined with by `O`.
fn with_features<O: crate::ops::Binary>(made: &Nodes, node: &Node) -> Option<(NodeId, Features)> {
    node.op_as::<Zip<O>>()?;
    let &[a, b] = node.operands() else {
        return None;
    };
    let Some(Dim::Fixed(features)) = node.shape.dims().last().copied() else {
        return None;
    };
    let constant = |id: NodeId| {
        let tensor = made.node(id).constant()?.f32()?;
        let shape = tensor.shape();
        let one_axis = shape.iter().rev().skip(1).all(|&size| size == 1);
        let fits = one_axis && shape.last() == Some(&features) && shape.len() <= node.shape.rank();
        fits.then(|| Features {
            values: tensor.as_slice().to_vec(),
            origin: made.node(id).origin(),
        })
    };
    let same = |id: NodeId| made.node(id).shape == node.shape;
    match (constant(a), constant(b)) {
        (None, Some(features)) if same(a) => Some((a, features)),
        (Some(features), None) if same(b) => Some((b, features)),
        _ => None,
    }
}

/// The constant weights of a product whose last axis is that of the features.
fn weights<'a>(made: &'a Nodes, product: &Node) -> Option<&'a Tensor> {
    let by_features = product.op_as::<Convolution>().is_some()
        || product
            .op_as::<MatMul>()
            .is_some_and(|matmul| !matmul.transposed);
    let &[_, weights] = product.operands() else {
        return None;
    };
    made.node(weights).constant()?.f32().filter(|_| by_features)
}

/// `product · s` or `(product + b) · s`.
fn scaled(made: &mut Nodes, node: &Node, only_use: &[bool]) -> Option<NodeId> {
    let (value, scale) = with_features::<Multiply>(made, node)?;
    let sole = |id: NodeId| only_use.get(id.0).copied().unwrap_or(false);
    if !sole(value) {
        return None;
    }
    let (product, offset) = match with_features::<Add>(made, made.node(value)) {
        Some((product, offset)) if sole(product) => (product, Some(offset)),
        _ => (value, None),
    };
    let old = made.node(product).clone();
    let weights = weights(made, &old)?;
    let mut values = weights.as_slice().to_vec();
    for row in values.chunks_exact_mut(scale.values.len()) {
        for (value, factor) in row.iter_mut().zip(&scale.values) {
            *value *= factor;
        }
    }
    let unscaled = made.node(old.operands()[1]);
    let origins = unscaled.origin().into_iter().chain(scale.origin);
    let origins: Vec<Origin> = origins.collect();
    let (weights, name) = (
        Tensor::new(weights.shape(), values).ok()?,
        unscaled.name.clone(),
    );
    let weights = constant(made, weights, &name);
    if origins.len() == 2 {
        made.set_origin(weights, Origin::made("scaled", &origins));
    }
    let (op, input) = (old.op()?.clone(), old.operands()[0]);
    let product = made.push(Node {
        source: Source::Op {
            op,
            operands: vec![input, weights],
        },
        ..old
    });
    let Some(mut offset) = offset else {
        return Some(product);
    };
    for (offset, factor) in offset.values.iter_mut().zip(&scale.values) {
        *offset *= factor;
    }
    Some(plus(made, product, offset.values, node))
}

/// `(product + b) + t`.
fn shifted(made: &mut Nodes, node: &Node, only_use: &[bool]) -> Option<NodeId> {
    let (value, offset) = with_features::<Add>(made, node)?;
    let (product, mut inner) = with_features::<Add>(made, made.node(value))?;
    if !only_use.get(value.0).copied().unwrap_or(false) {
        return None;
    }
    weights(made, made.node(product))?;
    for (inner, offset) in inner.values.iter_mut().zip(offset.values) {
        *inner += offset;
    }
    Some(plus(made, product, inner.values, node))
}

fn constant(made: &mut Nodes, value: Tensor, name: &str) -> NodeId {
    let shape = value.shape().into();
    made.push(Node {
        source: Source::Constant(Constant::F32(value)),
        shape,
        data_type: crate::DataType::F32,
        name: name.to_string(),
        backward: false,
        origin: None,
    })
}

/// `product + offset`, in the place of `node`.
fn plus(made: &mut Nodes, product: NodeId, offset: Vec<f32>, node: &Node) -> NodeId {
    let mut value = Tensor::zeros([offset.len()]);
    value.as_mut_slice().copy_from_slice(&offset);
    let offset = constant(made, value, "");
    made.push(Node {
        source: Source::Op {
            op: std::sync::Arc::new(Zip(Add)),
            operands: vec![product, offset],
        },
        ..node.clone()
    })
}
