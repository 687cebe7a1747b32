//! Choosing between two values, element by element.

use regraft_tensor::Detail;
use regraft_tensor::kernels::select;

use crate::ops::IntoVar;
use crate::{Forward, Gradient, Op, Output, Shape, Var, attributes};

/// a where the condition is not 0, else b; `(condition, a, b)` are broadcast to one shape.
#[derive(Clone, Copy, Debug)]
pub struct Select;

impl Op for Select {
    fn name(&self) -> &str {
        "select"
    }

    attributes!();

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        let [condition, a, b] = operands else {
            return Err(Detail::new("", "3 operands", operands.len()));
        };
        let shape = condition.broadcast(a).and_then(|shape| shape.broadcast(b));
        shape.ok_or_else(|| {
            let received = format!("{condition}, {a} and {b}");
            Detail::new("", "shapes that broadcast with each other", received)
                .help("sizes must be equal or 1, counted from the last axis")
        })
    }

    fn moves(&self, index: usize) -> bool {
        index > 0
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let operand = |index| (operands.f32(index), operands.shape(index));
        let shape = output.shape;
        select::select(operand(0), operand(1), operand(2), output.f32(), shape);
        Ok(())
    }

    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        let (condition, dy) = (at.operand(0), at.cotangent());
        vec![
            None,
            at.when(1, || {
                condition.select(dy, 0.0).sum_to(at.operand(1).shape())
            }),
            at.when(2, || {
                condition.select(0.0, dy).sum_to(at.operand(2).shape())
            }),
        ]
    }

    fn broadcasts(&self) -> bool {
        true
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }
}

impl<'g> Var<'g> {
    /// `a` where this value is not 0, else `b`, element by element with broadcasting. Nothing of
    /// the value that is not chosen shows, not even NaN.
    pub fn select(self, a: impl IntoVar<'g>, b: impl IntoVar<'g>) -> Var<'g> {
        let (a, b) = (a.into_var(self.graph()), b.into_var(self.graph()));
        self.graph().apply(Select, &[self, a, b])
    }
}
