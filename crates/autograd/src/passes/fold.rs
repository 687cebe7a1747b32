//! Computes what depends on constants alone, once, when a program is compiled.

use regraft_tensor::{IntTensor, Tensor};

use crate::node::{Constant, Source};
use crate::op::{Forward, Operand, Output, Run, operand_type, result_type};
use crate::ops::Multiply;
use crate::ops::Zip;
use crate::{DataType, Node, NodeId, Nodes};

/// Replaces ops on constants by their results, and products with the number 1 by the other factor.
/// Repeated values are left to be repeated when the program runs: they would only take memory.
pub fn fold_constants(nodes: &Nodes) -> Nodes {
    nodes.rebuild(|made, _, node| {
        if let Some(factor) = factor_of_one(made, &node) {
            return factor;
        }
        match evaluate(made, &node) {
            Some(constant) => made.push(Node {
                source: Source::Constant(constant),
                ..node
            }),
            None => made.push(node),
        }
    })
}

/// The other operand of a product with the number 1, if it has the product's shape.
fn factor_of_one(made: &Nodes, node: &Node) -> Option<NodeId> {
    node.op_as::<Zip<Multiply>>()?;
    let &[a, b] = node.operands() else {
        return None;
    };
    let is_one = |id: NodeId| made.node(id).constant().and_then(Constant::as_number) == Some(1.0);
    let same = |id: NodeId| made.node(id).shape == node.shape;
    match (is_one(a) && same(b), is_one(b) && same(a)) {
        (true, _) => Some(b),
        (_, true) => Some(a),
        _ => None,
    }
}

fn evaluate(made: &Nodes, node: &Node) -> Option<Constant> {
    let op = node.op()?;
    let shape = node.shape.fixed()?;
    let constants: Vec<&Constant> = node
        .operands()
        .iter()
        .map(|&operand| made.node(operand).constant())
        .collect::<Option<_>>()?;
    let largest = constants
        .iter()
        .map(|constant| constant.words().len())
        .max();
    let length: usize = shape.iter().product();
    if op.is_random() || length > largest.unwrap_or(0).max(64) {
        return None;
    }
    let sizes: Vec<Vec<usize>> = node
        .operands()
        .iter()
        .map(|&operand| made.node(operand).shape.fixed())
        .collect::<Option<_>>()?;
    let operands: Vec<Operand<'_>> = constants
        .iter()
        .zip(&sizes)
        .enumerate()
        .map(|(index, (constant, shape))| Operand {
            shape,
            data_type: operand_type(&**op, index, constant.data_type()),
            data: constant.words(),
        })
        .collect();
    let forward = Forward {
        operands: &operands,
        run: Run::default(),
    };
    let mut data = vec![0.0; length];
    let output = Output {
        shape: &shape,
        data_type: result_type(&**op, operands.len(), node.data_type),
        data: &mut data,
    };
    // What is wrong with the values is reported when the program runs.
    op.forward(forward, output).ok()?;
    Some(match node.data_type {
        DataType::F32 => Constant::F32(Tensor::new(&shape, data).ok()?),
        DataType::I32 => {
            let words = bytemuck::cast_vec(data);
            Constant::I32(IntTensor::new(&shape, words).ok()?)
        }
    })
}
