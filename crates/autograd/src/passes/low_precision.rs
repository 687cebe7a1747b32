//! Gives products and convolutions of the frozen prefix weights of low precision: 8-bit integers, or bfloat16. It is
//! no pass of [`ALL`](super::ALL), since it changes numbers: who asks for it runs it before [`fuse`](super::fuse).

use std::collections::HashMap;
use std::sync::Arc;

use regraft_tensor::Tensor;
use regraft_tensor::kernels::convolution::KernelShape;
use regraft_tensor::kernels::low_precision::{Ending, Weights, words_of_bytes};
use regraft_tensor::kernels::window::Window;

use super::cacheable::cacheable_from;
use super::fuse::{Product, products};
use crate::calibration::{Observed, observe};
use crate::node::{Constant, Source};
use crate::ops::{Convolution, LowPrecision, MatMul};
use crate::origin::made_once;
use crate::{Calibration, DataType, Dim, Node, NodeId, Nodes, Result, Shape};

/// What numbers are narrowed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NumberFormat {
    /// 8-bit integers: a step for each filter's weights, and a range for each value, found by calibration.
    Int8,
    /// The first 16 bits of a float, rounded.
    Bfloat16,
}

/// A product that gets low precision.
struct Narrowed {
    product: Product,
    shape: KernelShape,
    is_matrix: bool,
    input: NodeId,
    /// The constant weights.
    weights: NodeId,
}

/// Lets what depends on the first `sample_inputs` inputs and constants alone be computed in low precision: convolutions
/// with constant kernels, of one group or (of integers) depthwise, and matrix products, each with its bias, residual
/// and activation. Left as they are: what sees the samples themselves (the first layers), and kernels for which there
/// is no kernel of low precision.
///
/// # Errors
/// Samples that do not fit the inputs.
pub fn low_precision(
    nodes: &Nodes,
    format: NumberFormat,
    sample_inputs: usize,
    calibration: Calibration<'_>,
) -> Result<Nodes> {
    let narrowed = narrowed(nodes, format, sample_inputs);
    if narrowed.is_empty() {
        return Ok(nodes.clone());
    }
    let mut known = HashMap::new();
    if format == NumberFormat::Int8 {
        let bytes = bytes(nodes, &narrowed);
        let mut values: Vec<NodeId> = narrowed.values().map(|it| it.input).collect();
        values.extend(bytes.iter().copied());
        values.sort_unstable();
        values.dedup();
        let observed = observe(nodes, &values, calibration)?;
        for (value, observed) in values.into_iter().zip(observed) {
            known.insert(value, (observed, bytes.contains(&value)));
        }
    }
    Ok(rewrite(nodes, &narrowed, &known))
}

/// The products that get low precision, by the last node of each.
fn narrowed(
    nodes: &Nodes,
    format: NumberFormat,
    sample_inputs: usize,
) -> HashMap<NodeId, Narrowed> {
    let kept = cacheable_from(nodes, Some(sample_inputs));
    // Whether a value is behind a product.
    let mut behind = vec![false; nodes.len()];
    for (id, node) in nodes.iter() {
        let is_product = is_product(node);
        behind[id.0] = is_product || node.operands().iter().any(|operand| behind[operand.0]);
    }
    let found = products(nodes).into_iter().enumerate();
    let found = found.filter_map(|(id, product)| {
        let (id, product) = (NodeId(id), product?);
        let narrowed = narrow(nodes, product, format)?;
        let first = !behind[narrowed.input.0];
        (kept[id.0] && !first).then_some((id, narrowed))
    });
    found.collect()
}

fn is_product(node: &Node) -> bool {
    node.op_as::<Convolution>().is_some() || node.op_as::<MatMul>().is_some()
}

fn narrow(nodes: &Nodes, product: Product, format: NumberFormat) -> Option<Narrowed> {
    let node = nodes.node(product.id);
    let &[input, weights] = node.operands() else {
        return None;
    };
    let constant = |id: NodeId| nodes.node(id).constant().and_then(Constant::f32);
    let bias_fits = product.bias.is_none_or(|bias| constant(bias).is_some());
    let sizes = constant(weights)?.shape();
    let channels = match nodes.node(input).shape.dims().last() {
        Some(&Dim::Fixed(channels)) => channels,
        _ => return None,
    };
    let (shape, is_matrix) = match (node.op_as(), node.op_as()) {
        (Some(&Convolution { window, groups }), _) => {
            let filters = *sizes.last()?;
            let shape = KernelShape {
                channels,
                filters,
                groups,
                window,
            };
            (shape, false)
        }
        (_, Some(&MatMul { transposed })) => {
            let filters = sizes[usize::from(!transposed)];
            let shape = KernelShape {
                channels,
                filters,
                groups: 1,
                window: Window::new(&[1, 1]),
            };
            (shape, true)
        }
        _ => return None,
    };
    let has_kernel = Weights::supports(&shape)
        && (format == NumberFormat::Int8 || shape.groups == 1)
        && nodes.node(input).shape.is_batch_first();
    (has_kernel && bias_fits).then_some(Narrowed {
        product,
        shape,
        is_matrix,
        input,
        weights,
    })
}

/// The values that need never be floats: results of narrowed products that only such read, as input or residual.
fn bytes(nodes: &Nodes, narrowed: &HashMap<NodeId, Narrowed>) -> Vec<NodeId> {
    let uses = nodes.uses();
    let mut read = vec![0; nodes.len()];
    for product in narrowed.values() {
        read[product.input.0] += 1;
        if let Some(residual) = product.product.residual {
            read[residual.0] += 1;
        }
    }
    let mut bytes: Vec<NodeId> = narrowed.keys().copied().collect();
    bytes.retain(|id| read[id.0] == uses[id.0]);
    bytes.sort_unstable();
    bytes
}

/// The values whose ranges are known, and whether they become bytes.
type Known = HashMap<NodeId, (Observed, bool)>;

fn rewrite(nodes: &Nodes, narrowed: &HashMap<NodeId, Narrowed>, known: &Known) -> Nodes {
    let mut inner = vec![false; nodes.len()];
    for product in narrowed.values() {
        product
            .product
            .inner
            .iter()
            .for_each(|id| inner[id.0] = true);
    }
    let mut made = Nodes::default();
    let mut renumbered: Vec<Option<NodeId>> = vec![None; nodes.len()];
    let new = |renumbered: &[Option<NodeId>], id: NodeId| {
        renumbered[id.0].expect("only its product reads what is within one")
    };
    for (id, node) in nodes.iter() {
        if inner[id.0] {
            continue;
        }
        let mut node = node.clone();
        if let Some(product) = narrowed.get(&id) {
            let op = product.op(nodes, id, known);
            if op.output.is_some() {
                node.shape = of_words(&node.shape);
                node.data_type = DataType::I32;
            }
            let operands = std::iter::once(product.input).chain(product.product.residual);
            let operands = operands.map(|operand| new(&renumbered, operand));
            node.source = Source::Op {
                operands: operands.collect(),
                op: Arc::new(op),
            };
        } else if let Source::Op { operands, .. } = &mut node.source {
            for operand in operands {
                *operand = new(&renumbered, *operand);
            }
        }
        renumbered[id.0] = Some(made.push(node));
    }
    let outputs = nodes.outputs().iter();
    let outputs = outputs.map(|&output| new(&renumbered, output)).collect();
    // Weights that were packed are no longer operands.
    super::prune(&made.with_outputs(outputs))
}

/// The shape of bytes in words.
fn of_words(shape: &Shape) -> Shape {
    let last = shape.rank() - 1;
    let dims = shape.dims().iter().enumerate();
    dims.map(|(axis, &dim)| match dim {
        Dim::Fixed(channels) if axis == last => Dim::Fixed(words_of_bytes(channels)),
        dim => dim,
    })
    .collect()
}

impl Narrowed {
    /// The op that stands for the whole, which ends at node `id`.
    fn op(&self, nodes: &Nodes, id: NodeId, known: &Known) -> LowPrecision {
        let exact = self.exact(nodes);
        let node = nodes.node(self.weights);
        let origin = node.origin();
        let shape = self.shape;
        let how = |format: &str| format!("{format} {shape:?} {}", self.is_transposed(nodes));
        let bias = self.product.bias.map(|bias| {
            let bias = nodes.node(bias).constant().and_then(Constant::f32);
            bias.expect("only constant biases").as_slice()
        });
        let bytes = |id: NodeId| {
            let known = known.get(&id);
            known
                .filter(|(_, bytes)| *bytes)
                .map(|(observed, _)| observed.quantization)
        };
        let (weights, ending) = match known.get(&self.input) {
            Some((observed, _)) => {
                let weights = made_once(origin.as_ref(), &how("int8"), || {
                    Weights::int8(shape, exact.as_slice())
                });
                let means = Some((observed.before.as_slice(), observed.after.as_slice()));
                let input = observed.quantization;
                let ending = Ending::int8(&weights, exact.as_slice(), input, bias, means);
                (weights, ending)
            }
            None => {
                let weights = made_once(origin.as_ref(), &how("bfloat16"), || {
                    Weights::bfloat16(shape, exact.as_slice())
                });
                let ending = Ending::bfloat16(&weights, bias);
                (weights, ending)
            }
        };
        LowPrecision {
            weights,
            ending,
            is_matrix: self.is_matrix,
            input_bytes: bytes(self.input).is_some(),
            residual: self.product.residual.map(bytes),
            output: bytes(id),
            activation: self.product.activation,
        }
    }

    fn is_transposed(&self, nodes: &Nodes) -> bool {
        let matmul = nodes.node(self.product.id).op_as::<MatMul>();
        matmul.is_some_and(|matmul| matmul.transposed)
    }

    /// The weights before they are rounded, a row for each channel of each tap.
    fn exact(&self, nodes: &Nodes) -> Tensor {
        let weights = nodes.node(self.weights).constant().and_then(Constant::f32);
        let weights = weights.expect("only constant weights");
        match self.is_transposed(nodes) {
            false => weights.clone(),
            true => {
                let mut turned = Tensor::zeros([self.shape.channels, self.shape.filters]);
                let columns = self.shape.filters;
                for (at, value) in turned.as_mut_slice().iter_mut().enumerate() {
                    let (row, column) = (at / columns, at % columns);
                    *value = weights.as_slice()[column * self.shape.channels + row];
                }
                turned
            }
        }
    }
}
