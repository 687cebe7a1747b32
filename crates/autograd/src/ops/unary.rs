//! Functions of one number, applied to every element: the op [`Map`] and what a function says of
//! itself to become one.

use std::any::Any;
use std::fmt::Debug;

use regraft_tensor::Detail;
use regraft_tensor::kernels::elementwise;
use regraft_tensor::kernels::matmul::EpilogueActivation;

use crate::{Attributes, Forward, Gradient, Op, Output, Shape, Var};

/// A differentiable function of one number.
pub trait Unary: Any + Copy + Debug + Send + Sync {
    /// The name in drawings.
    const NAME: &'static str;

    /// See [`Op::attributes`].
    fn attributes(&self) -> Option<Attributes> {
        None
    }

    /// f(x). Write it without branches where speed matters: the loop around it is vectorised.
    fn value(self, x: f32) -> f32;

    /// dL/dx from x, y = f(x) and dL/dy, as nodes of the graph.
    fn gradient<'g>(self, x: Var<'g>, y: Var<'g>, dy: Var<'g>) -> Var<'g>;

    /// See [`Op::epilogue`].
    fn epilogue(self) -> Option<EpilogueActivation> {
        None
    }
}

/// y = f(x), element by element.
#[derive(Clone, Copy, Debug)]
pub struct Map<F>(pub F);

impl<F: Unary> Op for Map<F> {
    fn name(&self) -> &str {
        F::NAME
    }

    fn attributes(&self) -> Option<Attributes> {
        self.0.attributes()
    }

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        Ok(operands[0].clone())
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let function = self.0;
        elementwise::map(operands.f32(0), output.f32(), move |x| function.value(x));
        Ok(())
    }

    fn gradient<'g>(&self, at: &Gradient<'g, '_>) -> Vec<Option<Var<'g>>> {
        vec![Some(self.0.gradient(
            at.operand(0),
            at.result(),
            at.cotangent(),
        ))]
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }

    fn works_in_place(&self) -> bool {
        true
    }

    fn forward_in_place(&self, _operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let function = self.0;
        elementwise::map_in_place(output.f32(), move |x| function.value(x));
        Ok(())
    }

    fn epilogue(&self) -> Option<EpilogueActivation> {
        self.0.epilogue()
    }
}

/// Defines functions of one number: the type, its documentation, the method of [`Var`], the value,
/// the gradient, and the activation of products that it is, if it is one.
macro_rules! unary {
    ($(#[$documentation:meta])* $name:ident, $method:ident, |$x:ident| $value:expr, |$gx:ident, $gy:ident, $gdy:ident| $gradient:expr
        $(, epilogue $epilogue:ident)?) => {
        $(#[$documentation])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl $crate::ops::Unary for $name {
            const NAME: &'static str = stringify!($method);

            $crate::attributes!();

            #[inline(always)]
            fn value(self, $x: f32) -> f32 {
                $value
            }

            fn gradient<'g>(
                self,
                $gx: $crate::Var<'g>,
                $gy: $crate::Var<'g>,
                $gdy: $crate::Var<'g>,
            ) -> $crate::Var<'g> {
                $gradient
            }
            $(
                fn epilogue(
                    self,
                ) -> Option<regraft_tensor::kernels::matmul::EpilogueActivation> {
                    Some(regraft_tensor::kernels::matmul::EpilogueActivation::$epilogue)
                }
            )?
        }

        impl<'g> $crate::Var<'g> {
            $(#[$documentation])*
            pub fn $method(self) -> $crate::Var<'g> {
                self.graph().apply($crate::ops::Map($name), &[self])
            }
        }
    };
}
pub(crate) use unary;
