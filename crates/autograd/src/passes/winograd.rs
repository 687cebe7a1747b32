//! Computes convolutions of the frozen prefix by Winograd's minimal filtering. It is no pass of [`ALL`](super::ALL), since
//! it changes numbers: who asks for it runs it before [`fuse`](super::fuse).

use std::sync::Arc;

use regraft_tensor::kernels::convolution::{KernelShape, WinogradKernel};

use super::cacheable::cacheable_from;
use super::fuse::{Product, products};
use crate::node::{Constant, Source};
use crate::ops::{Convolution, WinogradConvolution};
use crate::origin::made_once;
use crate::{Attribute, Nodes, Op};

/// Channels and filters from which on there is enough to multiply for each value that is transformed.
const LEAST: usize = 32;

/// How many times as many operations the convolution itself must have. Borders of small images are computed that nobody
/// asks for, and kernels are larger.
const GAIN: f64 = 1.5;

/// Lets convolutions that depend on the first `sample_inputs` inputs and constants alone be computed with fewer
/// multiplications, each with its bias, residual and activation: those with a constant kernel of 3×3 taps that moves by
/// 1, where that pays. The errors are about those of the sums themselves.
pub fn winograd(nodes: &Nodes, sample_inputs: usize) -> Nodes {
    let kept = cacheable_from(nodes, Some(sample_inputs));
    let mut made = Nodes::default();
    for ((id, node), product) in nodes.iter().zip(products(nodes)) {
        let mut node = node.clone();
        let product = product.filter(|_| kept[id.0]);
        if let Some(source) = product.and_then(|product| transformed(nodes, &product)) {
            node.source = source;
        }
        made.push(node);
    }
    // What was taken in, and kernels that were transformed, are no longer operands.
    super::prune(&made.with_outputs(nodes.outputs().to_vec()))
}

/// The op that stands for a product, and its operands, if it is such a convolution.
fn transformed(nodes: &Nodes, product: &Product) -> Option<Source> {
    let node = nodes.node(product.id);
    let &Convolution { window, groups } = node.op_as()?;
    let &[x, kernel] = node.operands() else {
        return None;
    };
    let weights = nodes.node(kernel).constant().and_then(Constant::f32)?;
    let &[.., channels, filters] = weights.shape() else {
        return None;
    };
    let shape = KernelShape {
        channels: channels * groups,
        filters,
        groups,
        window,
    };
    let input = &nodes.node(x).shape;
    if !WinogradKernel::supports(&shape) || channels.min(filters) < LEAST || !input.is_batch_first()
    {
        return None;
    }
    let (x_sizes, y_sizes) = (input.concrete(1), node.shape.concrete(1));
    let own = WinogradConvolution::operations(window, &x_sizes, &y_sizes);
    let plain = Convolution { window, groups }.flops(&[&x_sizes, weights.shape()], &y_sizes);
    if (plain as f64) < GAIN * own as f64 {
        return None;
    }
    let origin = nodes.node(kernel).origin();
    let how = format!("winograd kernel window={}", Attribute::from(window));
    let op = WinogradConvolution {
        kernel: made_once(origin.as_ref(), &how, || {
            WinogradKernel::new(&shape, weights.as_slice())
        }),
        bias: product.bias.is_some(),
        residual: product.residual.is_some(),
        activation: product.activation,
    };
    let operands = std::iter::once(x).chain(product.bias);
    Some(Source::Op {
        op: Arc::new(op),
        operands: operands.chain(product.residual).collect(),
    })
}
