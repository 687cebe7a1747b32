//! What layers that look at masks share: bringing them into shape, and making one of several.
//!
//! A mask is 1 where a step counts and 0 where it is padding; it has the axes of its value but the last.

use regraft_autograd::{Error, Shape, Var};
use regraft_tensor::Detail;

use crate::Call;

/// The mask with an axis of size 1 at the end, so that it goes with `x`; the graph is told if it does
/// not.
pub(crate) fn along_features<'g>(mask: Var<'g>, x: Var<'g>) -> Var<'g> {
    let (given, shape) = (mask.shape(), x.shape());
    let rank = shape.rank().saturating_sub(1);
    let fits = given.rank() == rank
        && given
            .broadcast(&Shape::from_iter(shape.dims()[..rank].iter().copied()))
            .is_some();
    if !fits {
        let expected = format!("a mask with the axes of {shape} but the last");
        let detail = Detail::new("mask", expected, given);
        mask.graph().fail(Error::Shape(detail));
        return x.graph().full(shape, 1.0);
    }
    mask.expand_dims(rank)
}

/// 1 where either is.
pub(crate) fn either<'g>(a: Var<'g>, b: Var<'g>) -> Var<'g> {
    a.maximum(b)
}

/// 1 where one of the masks of `count` inputs is; nothing unless all have one.
pub(crate) fn either_of_all<'g>(call: &Call<'g, '_>, count: usize) -> Option<Var<'g>> {
    let masks: Option<Vec<Var<'g>>> = (0..count).map(|index| call.mask(index)).collect();
    masks?.into_iter().reduce(either)
}

/// The mask of inputs that are joined along `axis`; nothing unless one has a mask.
pub(crate) fn joined<'g>(call: &Call<'g, '_>, inputs: &[Var<'g>], axis: usize) -> Option<Var<'g>> {
    if (0..inputs.len()).all(|index| call.mask(index).is_none()) {
        return None;
    }
    let graph = call.graph();
    let mask = |(index, &x): (usize, &Var<'g>)| match call.mask(index) {
        None => graph.full(x.shape(), 1.0),
        Some(mask) if mask.shape().rank() == x.shape().rank() => mask,
        Some(mask) => along_features(mask, x).broadcast_to(x.shape()),
    };
    let masks: Vec<Var<'g>> = inputs.iter().enumerate().map(mask).collect();
    let all = graph.concatenate(&masks, axis);
    let last = all.shape().rank().checked_sub(1)?;
    Some(all.max(&[last]))
}
