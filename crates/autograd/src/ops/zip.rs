//! Functions of two numbers, applied element by element with broadcasting: the op [`Zip`] and what
//! a function says of itself to become one.

use std::any::Any;
use std::fmt::Debug;

use regraft_tensor::Detail;
use regraft_tensor::kernels::{broadcast, update};

use crate::{Attributes, Forward, Gradient, Op, Output, Shape, Var};

/// A differentiable function of two numbers.
pub trait Binary: Any + Copy + Debug + Send + Sync {
    /// The name in drawings.
    const NAME: &'static str;

    /// See [`Op::attributes`].
    fn attributes(&self) -> Option<Attributes> {
        None
    }

    /// f(a, b). Write it without branches where speed matters: the loop around it is vectorised.
    fn value(self, a: f32, b: f32) -> f32;

    /// dL/da and dL/db in the shape of the result; the op sums them down to the operands' shapes.
    /// `None` where the function has no gradient.
    fn gradient<'g>(self, at: &Gradient<'g, '_>) -> [Option<Var<'g>>; 2];
}

/// y = f(a, b), element by element, the operands broadcast to one shape as NumPy does.
#[derive(Clone, Copy, Debug)]
pub struct Zip<F>(pub F);

impl<F: Binary> Op for Zip<F> {
    fn name(&self) -> &str {
        F::NAME
    }

    fn attributes(&self) -> Option<Attributes> {
        self.0.attributes()
    }

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        let [a, b] = operands else {
            return Err(Detail::new("", "2 operands", operands.len()));
        };
        a.broadcast(b).ok_or_else(|| {
            Detail::new("", format!("a shape that broadcasts with {a}"), b)
                .help("sizes must be equal or 1, counted from the last axis")
        })
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let function = self.0;
        let shape = output.shape;
        broadcast::binary(
            operands.f32(0),
            operands.shape(0),
            operands.f32(1),
            operands.shape(1),
            output.f32(),
            shape,
            move |a, b| function.value(a, b),
        );
        Ok(())
    }

    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        let gradients = self.0.gradient(at);
        gradients
            .into_iter()
            .zip(at.operands())
            .map(|(gradient, operand)| gradient.map(|gradient| gradient.sum_to(operand.shape())))
            .collect()
    }

    fn broadcasts(&self) -> bool {
        true
    }

    /// Broadcasting keeps rows apart as long as the batch is axis 0 of the result, which the search
    /// for the frozen prefix checks.
    fn keeps_samples_apart(&self) -> bool {
        true
    }

    fn works_in_place(&self) -> bool {
        true
    }

    fn forward_in_place(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let function = self.0;
        let shape = output.shape;
        update::update(
            output.f32(),
            shape,
            operands.f32(1),
            operands.shape(1),
            move |a, b| function.value(a, b),
        );
        Ok(())
    }
}
