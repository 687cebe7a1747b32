//! Fuses a matrix product or convolution with the bias and the activation after it, a convolution also with the
//! sum of a residual connection between both, and packs constant weights once instead of at each call.

use std::sync::Arc;

use regraft_tensor::Tensor;
use regraft_tensor::kernels::matmul::{EpilogueActivation, Matrix, PackedMatrix};

use crate::node::{Constant, Source};
use crate::ops::{Add, Convolution, FusedConvolution, FusedMatMul, MatMul, Zip};
use crate::origin::made_once;
use crate::{NodeId, Nodes, Op};

/// Replaces `product`, `product + bias`, for convolutions the sum of these with a value of the same shape, and an
/// activation of one of these by one op each, where nothing else needs the values in between. The order of
/// additions stays, and with it every bit.
pub fn fuse(nodes: &Nodes) -> Nodes {
    let mut fused = Nodes::default();
    for ((_, node), product) in nodes.iter().zip(products(nodes)) {
        let mut node = node.clone();
        if let Some(product) = product {
            node.source = product.fused(nodes);
        }
        fused.push(node);
    }
    // What was taken in, and weights that were packed, are no longer operands.
    super::prune(&fused.with_outputs(nodes.outputs().to_vec()))
}

/// For each node the product of which it is the end, if it is of one.
pub(super) fn products(nodes: &Nodes) -> Vec<Option<Product>> {
    let uses = nodes.uses();
    // From the last node on, so that each product is taken with all that follows it.
    let mut taken_in = vec![false; nodes.len()];
    let mut products = Vec::with_capacity(nodes.len());
    for (id, _) in nodes.iter().rev() {
        let product = (!taken_in[id.0]).then(|| product_at(nodes, id, &uses));
        let product = product.flatten();
        for inner in product.iter().flat_map(|product| &product.inner) {
            taken_in[inner.0] = true;
        }
        products.push(product);
    }
    products.reverse();
    products
}

/// A product, and what is applied to it alone.
pub(super) struct Product {
    pub id: NodeId,
    pub bias: Option<NodeId>,
    pub residual: Option<NodeId>,
    pub activation: EpilogueActivation,
    /// The nodes below the last one: the product and its sums.
    pub inner: Vec<NodeId>,
}

/// The product of which node `id` is the end: its activation, its sum with a bias, or itself.
fn product_at(nodes: &Nodes, id: NodeId, uses: &[usize]) -> Option<Product> {
    let node = nodes.node(id);
    let Some(activation) = node.op()?.epilogue() else {
        return summed_at(nodes, id, uses);
    };
    let &[inner] = node.operands() else {
        return None;
    };
    let product = summed_at(nodes, inner, uses).filter(|_| uses[inner.0] == 1)?;
    Some(Product {
        activation,
        ..product.below(inner)
    })
}

/// As [`product_at`], without an activation.
fn summed_at(nodes: &Nodes, id: NodeId, uses: &[usize]) -> Option<Product> {
    biased_at(nodes, id, uses).or_else(|| residual_at(nodes, id, uses))
}

/// A convolution, perhaps with a bias, and its sum with a value of the same shape. Where both are convolutions,
/// it is the later one: the other is there by then.
fn residual_at(nodes: &Nodes, id: NodeId, uses: &[usize]) -> Option<Product> {
    let node = nodes.node(id);
    node.op_as::<Zip<Add>>()?;
    let &[a, b] = node.operands() else {
        return None;
    };
    let (first, last) = if a.0 < b.0 { (a, b) } else { (b, a) };
    let same = |id: NodeId| {
        let value = nodes.node(id);
        value.shape == node.shape && value.data_type == node.data_type
    };
    let fits = first != last && same(first) && same(last);
    let of = |sum: NodeId, residual: NodeId| {
        let product = biased_at(nodes, sum, uses).filter(|_| uses[sum.0] == 1)?;
        let convolution = nodes.node(product.id).op_as::<Convolution>()?;
        (convolution.groups == 1).then(|| Product {
            residual: Some(residual),
            ..product.below(sum)
        })
    };
    of(last, first).or_else(|| of(first, last)).filter(|_| fits)
}

/// A product or its sum with a bias.
fn biased_at(nodes: &Nodes, id: NodeId, uses: &[usize]) -> Option<Product> {
    let of = |id: NodeId, bias: Option<NodeId>| Product {
        id,
        bias,
        residual: None,
        activation: EpilogueActivation::None,
        inner: bias.map(|_| id).into_iter().collect(),
    };
    if is_product(nodes, id) {
        return Some(of(id, None));
    }
    let node = nodes.node(id);
    node.op_as::<Zip<Add>>()?;
    let &[product, bias] = node.operands() else {
        return None;
    };
    let columns = nodes.node(product).shape.dims().last().copied()?;
    let fits = is_product(nodes, product)
        && uses[product.0] == 1
        && nodes.node(bias).shape.dims() == [columns];
    fits.then(|| of(product, Some(bias)))
}

fn is_product(nodes: &Nodes, id: NodeId) -> bool {
    let node = nodes.node(id);
    node.op_as::<MatMul>().is_some() || node.op_as::<Convolution>().is_some()
}

impl Product {
    /// It, with `last` among the nodes below the last one.
    fn below(mut self, last: NodeId) -> Self {
        self.inner.push(last);
        self
    }

    /// The op that stands for the whole, and its operands.
    fn fused(&self, nodes: &Nodes) -> Source {
        let product = nodes.node(self.id);
        let &[a, b] = product.operands() else {
            unreachable!("a product has two operands");
        };
        let weight = nodes.node(b).constant().and_then(Constant::f32);
        let origin = nodes.node(b).origin();
        let origin = origin.as_ref();
        let mut operands = vec![a];
        if weight.is_none() {
            operands.push(b);
        }
        operands.extend(self.bias);
        operands.extend(self.residual);
        let kernel = weight.map(|weight| (weight, origin));
        let (bias, residual) = (self.bias.is_some(), self.residual.is_some());
        let activation = self.activation;
        let op: Arc<dyn Op> = match (product.op_as(), product.op_as()) {
            (Some(&Convolution { window, groups }), _) => Arc::new(FusedConvolution::new(
                window,
                groups,
                kernel,
                (bias, residual),
                activation,
            )),
            (_, Some(&MatMul { transposed })) => Arc::new(FusedMatMul {
                packed: weight.map(|weight| {
                    let how = format!("matrix transposed={transposed}");
                    made_once(origin, &how, || pack(weight, transposed))
                }),
                transposed,
                bias,
                activation,
            }),
            _ => unreachable!("a product is one of the two"),
        };
        Source::Op { op, operands }
    }
}

fn pack(weight: &Tensor, transposed: bool) -> PackedMatrix {
    let &[rows, columns] = weight.shape() else {
        unreachable!("the right operand of a matrix product has two axes");
    };
    let matrix = Matrix::new(weight.as_slice(), rows, columns);
    PackedMatrix::new(match transposed {
        true => matrix.transposed(),
        false => matrix,
    })
}
