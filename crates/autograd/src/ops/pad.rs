//! A border around a value, and its removal.

use regraft_tensor::Detail;
use regraft_tensor::kernels::layout;

use crate::{Dim, Forward, Gradient, Op, Output, Shape, Var, attributes};

/// x with cells of `value` in front of and behind each axis.
#[derive(Clone, Debug)]
pub struct Pad {
    /// For each axis how many cells stand in front of it.
    pub before: Vec<usize>,
    /// For each axis how many cells stand behind it.
    pub after: Vec<usize>,
    /// What stands in them.
    pub value: f32,
}

/// x without the first `before[axis]` and the last `after[axis]` cells of each axis.
#[derive(Clone, Debug)]
pub struct Crop {
    /// For each axis how many cells are removed in front.
    pub before: Vec<usize>,
    /// For each axis how many cells are removed behind.
    pub after: Vec<usize>,
}

/// The axes with other sizes; the batch must stay as it is.
fn resized(
    x: &Shape,
    before: &[usize],
    after: &[usize],
    resize: impl Fn(usize, usize) -> Option<usize>,
) -> Result<Shape, Detail> {
    let borders = before
        .iter()
        .zip(after)
        .map(|(before, after)| before + after);
    let wrong = |what: String| {
        let expected = format!("a border that fits {x} and leaves the batch alone");
        Err(Detail::new("", expected, what))
    };
    if before.len() != x.rank() || after.len() != x.rank() {
        return wrong(format!("borders for {} axes", before.len()));
    }
    let dims = x
        .dims()
        .iter()
        .zip(borders)
        .map(|(&dim, border)| match dim {
            Dim::Fixed(size) => resize(size, border).map(Dim::Fixed),
            Dim::Batch | Dim::PerSample(_) => (border == 0).then_some(dim),
        });
    match dims.collect::<Option<Vec<Dim>>>() {
        Some(dims) => Ok(dims.into()),
        None => wrong(format!("{before:?} in front and {after:?} behind")),
    }
}

impl Op for Pad {
    fn name(&self) -> &str {
        "pad"
    }

    attributes!(before, after, value);

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        resized(operands[0], &self.before, &self.after, usize::checked_add)
    }

    /// Zero has the same bits in every type; other borders are of floats.
    fn moves(&self, _index: usize) -> bool {
        self.value.to_bits() == 0
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let (x, x_shape, shape) = (operands.f32(0), operands.shape(0), output.shape);
        layout::pad(x, x_shape, &self.before, self.value, output.f32(), shape);
        Ok(())
    }

    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        let (before, after) = (self.before.clone(), self.after.clone());
        let dy = at.cotangent();
        vec![Some(dy.graph().apply(Crop { before, after }, &[dy]))]
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }

    fn flops(&self, _operands: &[&[usize]], _output: &[usize]) -> u64 {
        0
    }
}

impl Op for Crop {
    fn name(&self) -> &str {
        "crop"
    }

    attributes!(before, after);

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        resized(operands[0], &self.before, &self.after, usize::checked_sub)
    }

    fn moves(&self, _index: usize) -> bool {
        true
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let (x, x_shape, shape) = (operands.f32(0), operands.shape(0), output.shape);
        layout::crop(x, x_shape, &self.before, output.f32(), shape);
        Ok(())
    }

    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        let (before, after) = (self.before.clone(), self.after.clone());
        let (dy, value) = (at.cotangent(), 0.0);
        let pad = Pad {
            before,
            after,
            value,
        };
        vec![Some(dy.graph().apply(pad, &[dy]))]
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }

    fn flops(&self, _operands: &[&[usize]], _output: &[usize]) -> u64 {
        0
    }
}

impl<'g> Var<'g> {
    /// This value with `padding[axis].0` cells of `value` in front of each axis and `padding[axis].1`
    /// behind it. The batch takes no padding.
    pub fn pad(self, padding: &[(usize, usize)], value: f32) -> Var<'g> {
        let (before, after) = padding.iter().copied().unzip();
        let pad = Pad {
            before,
            after,
            value,
        };
        self.graph().apply(pad, &[self])
    }

    /// This value without the first `cropping[axis].0` and the last `cropping[axis].1` cells of each
    /// axis. Nothing can be cut off the batch.
    pub fn crop(self, cropping: &[(usize, usize)]) -> Var<'g> {
        let (before, after) = cropping.iter().copied().unzip();
        self.graph().apply(Crop { before, after }, &[self])
    }
}
