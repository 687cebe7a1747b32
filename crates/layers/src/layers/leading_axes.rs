//! Axes between the samples and what a layer looks at: their places are samples to it.

use regraft_autograd::{Dim, Shape, Var};

/// The shape without the `count` axes behind the samples.
pub(crate) fn without(shape: &Shape, count: usize) -> Shape {
    let dims = shape.dims().iter().enumerate();
    let kept = dims.filter(|(axis, _)| *axis == 0 || *axis > count);
    Shape::from_iter(kept.map(|(_, dim)| *dim))
}

/// The batch with so many rows for each sample.
pub(crate) fn rows(batch: Dim, rows: usize) -> Dim {
    match (batch, rows) {
        (batch, 1) => batch,
        (Dim::Fixed(samples), rows) => Dim::Fixed(samples * rows),
        (Dim::PerSample(before), rows) => Dim::PerSample(before * rows),
        (Dim::Batch, rows) => Dim::PerSample(rows),
    }
}

/// `x` with its samples and the `count` axes behind them as one axis.
pub(crate) fn joined(x: Var<'_>, count: usize) -> Var<'_> {
    if count == 0 {
        return x;
    }
    let shape = x.shape();
    let dims = &shape.dims()[..=count];
    let all = rows(dims[0], dims[1..].iter().map(|dim| dim.size(1)).product());
    let rest = shape.dims()[count + 1..].iter().copied();
    x.reshape(Shape::from_iter([all].into_iter().chain(rest)))
}

/// The inverse of [`joined`] for what was made of it: `y` with the first axes of `x`.
pub(crate) fn apart<'g>(y: Var<'g>, x: Var<'g>, count: usize) -> Var<'g> {
    if count == 0 {
        return y;
    }
    let (shape, of_x) = (y.shape(), x.shape());
    let dims = of_x.dims()[..=count].iter().chain(&shape.dims()[1..]);
    y.reshape(Shape::from_iter(dims.copied()))
}
