//! Functions along an axis that need not be the last.

use regraft_autograd::{Error, Var};

use crate::settings;

/// The axis of `x` that `axis` means; the graph is told if there is none.
pub(crate) fn resolve(name: &str, x: Var<'_>, axis: isize) -> Option<usize> {
    match settings::resolve(&[axis], x.shape().rank()) {
        Ok(axes) => axes.first().copied(),
        Err(detail) => {
            x.graph().fail(Error::Shape(detail.within(name)));
            None
        }
    }
}

/// `function`, which works along the last axis, along `axis`.
pub(crate) fn along<'g>(
    name: &str,
    x: Var<'g>,
    axis: isize,
    function: impl Fn(Var<'g>) -> Var<'g>,
) -> Var<'g> {
    let Some(axis) = resolve(name, x, axis) else {
        return x;
    };
    let last = x.shape().rank() - 1;
    if axis == last {
        return function(x);
    }
    // Swapping two axes is its own inverse.
    let mut axes: Vec<usize> = (0..=last).collect();
    axes.swap(axis, last);
    function(x.permute(&axes)).permute(&axes)
}
