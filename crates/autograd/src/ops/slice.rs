//! A range of one axis.

use std::ops::Range;

use regraft_tensor::Detail;
use regraft_tensor::kernels::layout;

use crate::{Dim, Forward, Gradient, Op, Output, Shape, Var, attributes};

/// `x[…, start..end, …]` along one axis, which must not be the batch.
#[derive(Clone, Debug)]
pub struct Slice {
    /// The axis cut.
    pub axis: usize,
    /// The range that is kept.
    pub range: Range<usize>,
}

impl Op for Slice {
    fn name(&self) -> &str {
        "slice"
    }

    attributes!(axis, range);

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        let Range { start, end } = self.range;
        let mut dims = operands[0].dims().to_vec();
        match dims.get_mut(self.axis) {
            Some(Dim::Fixed(size)) if start <= end && end <= *size => {
                *size = end - start;
                Ok(dims.into())
            }
            _ => Err(Detail::new(
                "",
                format!("a range within axis {} of {}", self.axis, operands[0]),
                format!("{start}..{end}"),
            )),
        }
    }

    fn moves(&self, _index: usize) -> bool {
        true
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let shape = operands.shape(0);
        let inner = shape[self.axis + 1..].iter().product();
        layout::slice(
            operands.f32(0),
            shape[self.axis],
            inner,
            self.range.clone(),
            output.f32(),
        );
        Ok(())
    }

    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        let shape = at.operand(0).shape();
        let mut padding = vec![(0, 0); shape.rank()];
        // The batch size plays no part: the axis has a fixed size.
        let behind = shape.dims()[self.axis].size(0) - self.range.end;
        padding[self.axis] = (self.range.start, behind);
        vec![Some(at.cotangent().pad(&padding, 0.0))]
    }

    fn keeps_samples_apart(&self) -> bool {
        self.axis != 0
    }

    fn flops(&self, _operands: &[&[usize]], _output: &[usize]) -> u64 {
        0
    }
}

impl<'g> Var<'g> {
    /// `range` of `axis`, which must have a fixed size.
    pub fn slice(self, axis: usize, range: Range<usize>) -> Var<'g> {
        self.graph().apply(Slice { axis, range }, &[self])
    }
}
