//! Leaves out a border of zeros in front of a convolution, which thinks one there itself: the padded value is neither
//! written nor read.

use std::iter;
use std::sync::Arc;

use regraft_tensor::kernels::window::Window;

use crate::node::Source;
use crate::ops::{Convolution, ConvolutionWeightGradient, Pad};
use crate::{Node, NodeId, Nodes, Op};

/// Lets convolutions and their weights' gradients read their input as it was before [`Pad`] put zeros around its
/// spatial axes. A zero adds nothing to a sum, so the bits stay (where a weight is infinite or no number, what was
/// NaN at the border is a number).
pub fn skip_pads(nodes: &Nodes) -> Nodes {
    let skipped = nodes.rebuild(|made, _, mut node| {
        while let Some((input, op)) = unpadded(made, &node) {
            let operands = node.operands().iter().skip(1).copied();
            let operands = iter::once(input).chain(operands).collect();
            node.source = Source::Op { op, operands };
        }
        Some(made.push(node))
    });
    super::prune(&skipped)
}

/// The input before it was padded, and the op that thinks the border there.
fn unpadded(nodes: &Nodes, node: &Node) -> Option<(NodeId, Arc<dyn Op>)> {
    let pad = nodes.node(*node.operands().first()?);
    let (border, &[input]) = (pad.op_as::<Pad>()?, pad.operands()) else {
        return None;
    };
    if let Some(op) = node.op_as::<Convolution>() {
        let window = with_border(op.window, border)?;
        return Some((input, Arc::new(Convolution { window, ..*op })));
    }
    let op = node.op_as::<ConvolutionWeightGradient>()?;
    let window = with_border(op.window, border)?;
    Some((input, Arc::new(ConvolutionWeightGradient { window, ..*op })))
}

/// The window with the border as padding, if it is one of zeros around spatial axes.
fn with_border(mut window: Window, border: &Pad) -> Option<Window> {
    let cells = border
        .before
        .iter()
        .copied()
        .zip(border.after.iter().copied());
    let cells: Vec<(usize, usize)> = cells.collect();
    let [(0, 0), spatial @ .., (0, 0)] = cells.as_slice() else {
        return None;
    };
    if border.value.to_bits() != 0 || spatial.len() > 3 {
        return None;
    }
    let padding = &mut window.padding[3 - spatial.len()..];
    for ((before, after), more) in padding.iter_mut().zip(spatial) {
        *before += more.0;
        *after += more.1;
    }
    Some(window)
}
