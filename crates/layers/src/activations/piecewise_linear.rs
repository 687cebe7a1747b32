//! Functions made of straight pieces: their value and their slope, one pass each.

use std::any::Any;
use std::fmt::Debug;

use regraft_autograd::ops::{Binary, Map, Unary, Zip};
use regraft_autograd::{Attributes, Gradient, Var};
use regraft_tensor::kernels::matmul::EpilogueActivation;

/// A function made of straight pieces.
pub(super) trait PiecewiseLinear: Any + Copy + Debug + Send + Sync {
    /// The name in drawings.
    const NAME: &'static str;

    /// The name of the gradient in drawings.
    const GRADIENT: &'static str;

    /// See [`Op::attributes`](regraft_autograd::Op::attributes).
    fn attributes(&self) -> Option<Attributes>;

    /// f(x).
    fn value(self, x: f32) -> f32;

    /// f′(x); at a kink what TensorFlow has.
    fn slope(self, x: f32) -> f32;

    /// Whether f′(f(x)) = f′(x): the gradient is then taken from the result, and the operand need not
    /// be kept.
    const SLOPE_OF_VALUE: bool = false;

    /// See [`Op::epilogue`](regraft_autograd::Op::epilogue).
    fn epilogue(self) -> Option<EpilogueActivation> {
        None
    }
}

/// The value of `function` at `x`.
pub(super) fn piecewise<'g>(function: impl PiecewiseLinear, x: Var<'g>) -> Var<'g> {
    x.graph().apply(Map(Value(function)), &[x])
}

/// f(x).
#[derive(Clone, Copy, Debug)]
struct Value<F>(F);

/// dy · f′(x), of (dy, x).
#[derive(Clone, Copy, Debug)]
struct Slope<F>(F);

impl<F: PiecewiseLinear> Unary for Value<F> {
    const NAME: &'static str = F::NAME;

    fn attributes(&self) -> Option<Attributes> {
        self.0.attributes()
    }

    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        self.0.value(x)
    }

    fn gradient<'g>(self, x: Var<'g>, y: Var<'g>, dy: Var<'g>) -> Var<'g> {
        let place = if F::SLOPE_OF_VALUE { y } else { x };
        dy.graph().apply(Zip(Slope(self.0)), &[dy, place])
    }

    fn epilogue(self) -> Option<EpilogueActivation> {
        self.0.epilogue()
    }
}

impl<F: PiecewiseLinear> Binary for Slope<F> {
    const NAME: &'static str = F::GRADIENT;

    fn attributes(&self) -> Option<Attributes> {
        self.0.attributes()
    }

    #[inline(always)]
    fn value(self, dy: f32, x: f32) -> f32 {
        dy * self.0.slope(x)
    }

    /// Linear in dy; constant in x wherever it is differentiable.
    fn gradient<'g>(self, at: &Gradient<'g, '_>) -> [Option<Var<'g>>; 2] {
        let (x, d) = (at.operand(1), at.cotangent());
        [at.when(0, || d.graph().apply(Zip(self), &[d, x])), None]
    }
}
