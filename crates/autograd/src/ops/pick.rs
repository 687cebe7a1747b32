//! Positions of an axis chosen by number: flipping, rolling, repeating, strides, reflected borders.

use std::sync::Arc;

use regraft_tensor::Detail;

use crate::{Attributes, Dim, Forward, Gradient, Op, Output, Shape, Var};

/// `y[…, i, …] = x[…, indices[i], …]` along one axis, which must not be the batch.
#[derive(Clone, Debug)]
pub struct Pick {
    /// The axis.
    pub axis: usize,
    /// Which position of x each position of the result has.
    pub indices: Arc<[usize]>,
}

/// The gradient of [`Pick`]: `y[…, indices[i], …] += x[…, i, …]`, starting at zero.
#[derive(Clone, Debug)]
pub struct AddPicked {
    /// The axis.
    pub axis: usize,
    /// To which position of the result each position of x is added.
    pub indices: Arc<[usize]>,
    /// The size of the axis in the result.
    pub size: usize,
}

/// `x` with another size of an axis of fixed size.
fn with_size(x: &Shape, axis: usize, size: usize) -> Result<Shape, Detail> {
    let mut dims = x.dims().to_vec();
    match dims.get_mut(axis) {
        Some(dim @ Dim::Fixed(_)) => {
            *dim = Dim::Fixed(size);
            Ok(dims.into())
        }
        _ => Err(Detail::new("", format!("an axis {axis} of fixed size"), x)),
    }
}

impl Op for Pick {
    fn name(&self) -> &str {
        "pick"
    }

    fn attributes(&self) -> Option<Attributes> {
        let indices = self.indices.to_vec();
        Some(
            Attributes::none()
                .with("axis", self.axis)
                .with("indices", indices),
        )
    }

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        let x = operands[0];
        let shape = with_size(x, self.axis, self.indices.len())?;
        // The batch size plays no part: the axis has a fixed size.
        let size = x.dims()[self.axis].size(0);
        match self.indices.iter().find(|&&index| index >= size) {
            None => Ok(shape),
            Some(index) => {
                let expected = format!("positions below {size} of axis {}", self.axis);
                Err(Detail::new("", expected, index))
            }
        }
    }

    fn moves(&self, _index: usize) -> bool {
        true
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let shape = operands.shape(0);
        let inner: usize = shape[self.axis + 1..].iter().product();
        let (row, picked) = (shape[self.axis] * inner, self.indices.len() * inner);
        if row == 0 || picked == 0 {
            return Ok(());
        }
        let rows = operands.f32(0).chunks_exact(row);
        for (y, x) in output.f32().chunks_exact_mut(picked).zip(rows) {
            for (y, &index) in y.chunks_exact_mut(inner).zip(&*self.indices) {
                y.copy_from_slice(&x[index * inner..(index + 1) * inner]);
            }
        }
        Ok(())
    }

    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        let dy = at.cotangent();
        let add = AddPicked {
            axis: self.axis,
            indices: self.indices.clone(),
            size: at.operand(0).shape().dims()[self.axis].size(0),
        };
        vec![Some(dy.graph().apply(add, &[dy]))]
    }

    fn keeps_samples_apart(&self) -> bool {
        self.axis != 0
    }

    fn flops(&self, _operands: &[&[usize]], _output: &[usize]) -> u64 {
        0
    }
}

impl Op for AddPicked {
    fn name(&self) -> &str {
        "add_picked"
    }

    fn attributes(&self) -> Option<Attributes> {
        let indices = self.indices.to_vec();
        let attributes = Attributes::none().with("axis", self.axis);
        Some(attributes.with("indices", indices).with("size", self.size))
    }

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        with_size(operands[0], self.axis, self.size)
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let inner: usize = output.shape[self.axis + 1..].iter().product();
        let (row, picked) = (self.size * inner, self.indices.len() * inner);
        let out = output.f32();
        out.fill(0.0);
        if row == 0 || picked == 0 {
            return Ok(());
        }
        let rows = operands.f32(0).chunks_exact(picked);
        for (y, x) in out.chunks_exact_mut(row).zip(rows) {
            for (x, &index) in x.chunks_exact(inner).zip(&*self.indices) {
                let y = &mut y[index * inner..(index + 1) * inner];
                y.iter_mut().zip(x).for_each(|(y, x)| *y += x);
            }
        }
        Ok(())
    }

    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        vec![Some(at.cotangent().pick(self.axis, self.indices.clone()))]
    }

    fn keeps_samples_apart(&self) -> bool {
        self.axis != 0
    }
}

impl<'g> Var<'g> {
    /// The positions `indices` of `axis`, in this order; one may occur several times. The axis must
    /// have a fixed size.
    pub fn pick(self, axis: usize, indices: impl Into<Arc<[usize]>>) -> Var<'g> {
        let indices = indices.into();
        let size = self.shape().dims().get(axis).copied();
        if size == Some(Dim::Fixed(indices.len())) && indices.iter().copied().eq(0..indices.len()) {
            return self;
        }
        self.graph().apply(Pick { axis, indices }, &[self])
    }
}
