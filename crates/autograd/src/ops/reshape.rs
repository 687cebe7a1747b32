//! The same elements in another shape.

use regraft_tensor::Detail;

use crate::{Dim, Error, Forward, Gradient, Op, Output, Shape, Var, attributes};

/// x in another shape with as many elements. The batch may move among axes of size 1, and be one axis with
/// the axis behind it ([`Dim::PerSample`]).
#[derive(Clone, Debug)]
pub struct Reshape {
    /// The shape of the result.
    pub shape: Shape,
}

/// How often the batch occurs, and the product of the other sizes.
fn size(shape: &Shape) -> (usize, usize) {
    let batches = shape
        .dims()
        .iter()
        .filter(|dim| dim.fixed().is_none())
        .count();
    (batches, shape.len(1))
}

impl Op for Reshape {
    fn name(&self) -> &str {
        "reshape"
    }

    attributes!(shape);

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        if size(operands[0]) != size(&self.shape) {
            return Err(Detail::new(
                "",
                format!("a shape with as many elements as {}", operands[0]),
                &self.shape,
            ));
        }
        Ok(self.shape.clone())
    }

    fn moves(&self, _index: usize) -> bool {
        true
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        output.f32().copy_from_slice(operands.f32(0));
        Ok(())
    }

    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        vec![Some(at.cotangent().reshape(at.operand(0).shape()))]
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }

    fn works_in_place(&self) -> bool {
        true
    }

    fn forward_in_place(&self, _operands: Forward<'_>, _output: Output<'_>) -> Result<(), Detail> {
        Ok(())
    }

    fn flops(&self, _operands: &[&[usize]], _output: &[usize]) -> u64 {
        0
    }
}

impl<'g> Var<'g> {
    /// The same elements in `shape`.
    pub fn reshape(self, shape: impl Into<Shape>) -> Var<'g> {
        let shape = shape.into();
        if shape == self.shape() {
            return self;
        }
        self.graph().apply(Reshape { shape }, &[self])
    }

    /// The same elements with a new axis of size 1 at position `axis`.
    pub fn expand_dims(self, axis: usize) -> Var<'g> {
        let mut dims = self.shape().dims().to_vec();
        if axis > dims.len() {
            let expected = format!("a position from 0 to {}, not {axis}", dims.len());
            return self.refuse("expand_dims", expected);
        }
        dims.insert(axis, Dim::Fixed(1));
        self.reshape(dims)
    }

    /// The same elements without `axis`, which must have size 1.
    pub fn squeeze(self, axis: usize) -> Var<'g> {
        let mut dims = self.shape().dims().to_vec();
        if dims.get(axis) != Some(&Dim::Fixed(1)) {
            return self.refuse("squeeze", format!("an axis {axis} of size 1"));
        }
        dims.remove(axis);
        self.reshape(dims)
    }

    /// Every sample (row of axis 0) as one row: `[n, a, b, …] → [n, a·b·…]`, and `[n] → [n, 1]`.
    pub fn flatten(self) -> Var<'g> {
        let shape = self.shape();
        match (shape.dims().first(), shape.sample()) {
            (Some(&first), Some(sample)) => {
                self.reshape([first, Dim::Fixed(sample.iter().product())])
            }
            _ => self.refuse("flatten", "rank ≥ 1 and fixed sizes after axis 0".into()),
        }
    }

    /// Reports that this value has not the `expected` shape, and stands in for the result.
    pub(crate) fn refuse(self, op: &str, expected: String) -> Var<'g> {
        let received = self.shape();
        let error = Error::Shape(Detail::new(op, expected, received));
        self.graph().fail(error);
        self
    }
}
