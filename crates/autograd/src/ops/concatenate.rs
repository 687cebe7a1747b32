//! Values joined along an axis.

use regraft_tensor::Detail;

use crate::{Dim, Error, Forward, Gradient, Graph, Op, Output, Shape, Var, attributes};

/// The operands one after the other along `axis`, which must not be the batch; all other sizes must
/// agree.
#[derive(Clone, Copy, Debug)]
pub struct Concatenate {
    /// The axis along which they are joined.
    pub axis: usize,
}

impl Op for Concatenate {
    fn name(&self) -> &str {
        "concatenate"
    }

    attributes!(axis);

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        let mut dims = operands[0].dims().to_vec();
        let mut total = 0;
        for operand in operands {
            let fits = operand.rank() == dims.len()
                && (operand.dims().iter().zip(&dims).enumerate())
                    .all(|(axis, (size, first))| axis == self.axis || size == first);
            match operand.dims().get(self.axis) {
                Some(Dim::Fixed(size)) if fits => total += size,
                _ => {
                    let axis = self.axis;
                    let expected = format!("{} but for the fixed size of axis {axis}", operands[0]);
                    return Err(Detail::new("", expected, operand));
                }
            }
        }
        dims[self.axis] = Dim::Fixed(total);
        Ok(dims.into())
    }

    fn moves(&self, _index: usize) -> bool {
        true
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let row: usize = output.shape[self.axis..].iter().product();
        let out = output.f32();
        let mut from = 0;
        for index in 0..operands.len() {
            let length: usize = operands.shape(index)[self.axis..].iter().product();
            if length == 0 {
                continue;
            }
            let rows = operands.f32(index).chunks_exact(length);
            for (out, x) in out.chunks_exact_mut(row).zip(rows) {
                out[from..from + length].copy_from_slice(x);
            }
            from += length;
        }
        Ok(())
    }

    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        let mut end = 0;
        (at.operands().iter().enumerate())
            .map(|(index, operand)| {
                let start = end;
                // The batch size plays no part: the axis has a fixed size.
                end += operand.shape().dims()[self.axis].size(0);
                at.when(index, || at.cotangent().slice(self.axis, start..end))
            })
            .collect()
    }

    fn keeps_samples_apart(&self) -> bool {
        self.axis != 0
    }

    fn flops(&self, _operands: &[&[usize]], _output: &[usize]) -> u64 {
        0
    }
}

impl Graph {
    /// `parts` one after the other along `axis`, which must have a fixed size in each; all other
    /// sizes must agree.
    pub fn concatenate<'g>(&'g self, parts: &[Var<'g>], axis: usize) -> Var<'g> {
        if parts.is_empty() {
            self.fail(Error::Shape(Detail::new(
                "concatenate",
                "at least one value",
                "none",
            )));
            return self.number(0.0);
        }
        self.apply(Concatenate { axis }, parts)
    }
}
