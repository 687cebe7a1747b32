//! Fuses a matrix product or convolution with the bias and the activation after it, and packs constant weights
//! once instead of at each call.

use std::sync::Arc;

use regraft_tensor::Tensor;
use regraft_tensor::kernels::matmul::{EpilogueActivation, Matrix, PackedMatrix};

use crate::node::{Constant, Source};
use crate::ops::{Add, Convolution, FusedConvolution, FusedMatMul, MatMul, Zip};
use crate::origin::made_once;
use crate::{NodeId, Nodes, Op};

/// Replaces `product`, `product + bias` and an activation of one of these by one op each, where nothing else
/// needs the values in between.
pub fn fuse(nodes: &Nodes) -> Nodes {
    let uses = nodes.uses();
    // From the last node on, so that each product is taken with all that follows it.
    let mut taken_in = vec![false; nodes.len()];
    let mut products = Vec::with_capacity(nodes.len());
    for (id, _) in nodes.iter().rev() {
        let product = (!taken_in[id.0]).then(|| product_at(nodes, id, &uses));
        let product = product.flatten();
        for inner in product.iter().flat_map(|product| product.inner) {
            inner.into_iter().for_each(|id| taken_in[id.0] = true);
        }
        products.push(product);
    }
    let mut fused = Nodes::default();
    for ((_, node), product) in nodes.iter().zip(products.into_iter().rev()) {
        let mut node = node.clone();
        if let Some(product) = product {
            node.source = product.fused(nodes);
        }
        fused.push(node);
    }
    // What was taken in, and weights that were packed, are no longer operands.
    super::prune(&fused.with_outputs(nodes.outputs().to_vec()))
}

/// A product, and what is applied to it alone.
struct Product {
    id: NodeId,
    bias: Option<NodeId>,
    activation: EpilogueActivation,
    /// The nodes below the last one: the product and its sum with the bias.
    inner: [Option<NodeId>; 2],
}

/// The product of which node `id` is the end: its activation, its sum with a bias, or itself.
fn product_at(nodes: &Nodes, id: NodeId, uses: &[usize]) -> Option<Product> {
    let node = nodes.node(id);
    let Some(activation) = node.op()?.epilogue() else {
        return biased_at(nodes, id, uses);
    };
    let &[inner] = node.operands() else {
        return None;
    };
    let product = biased_at(nodes, inner, uses).filter(|_| uses[inner.0] == 1)?;
    Some(Product {
        activation,
        inner: [product.inner[0], Some(inner)],
        ..product
    })
}

/// As [`product_at`], without an activation.
fn biased_at(nodes: &Nodes, id: NodeId, uses: &[usize]) -> Option<Product> {
    let of = |id: NodeId, bias: Option<NodeId>| Product {
        id,
        bias,
        activation: EpilogueActivation::None,
        inner: [bias.map(|_| id), None],
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
        let kernel = weight.map(|weight| (weight, origin));
        let (bias, activation) = (self.bias.is_some(), self.activation);
        let op: Arc<dyn Op> = match (product.op_as(), product.op_as()) {
            (Some(&Convolution { window, groups }), _) => Arc::new(FusedConvolution::new(
                window, groups, kernel, bias, activation,
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
