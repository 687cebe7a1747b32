//! `sparse_plus`.

use regraft_autograd::ops::{Map, Unary};
use regraft_autograd::{Var, attributes};

use super::SparseSigmoid;
use super::define::activation;
use crate::ActivationFunction;

activation!(
    /// 0 where x ≤ −1, x where x ≥ 1, else (x + 1)² / 4, in [0, ∞): `softplus` made of straight
    /// pieces and a parabola.
    ///
    /// Keras: <https://keras.io/api/layers/activations/#sparse_plus-function>.
    SparsePlus, "keras.activations.sparse_plus", |x| x.graph().apply(Map(SparsePlus), &[x])
);

impl Unary for SparsePlus {
    const NAME: &'static str = "sparse_plus";

    attributes!();

    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        let parabola = 0.25 * (x + 1.0) * (x + 1.0);
        let above = if x < 1.0 { parabola } else { x };
        if x > -1.0 { above } else { 0.0 }
    }

    fn gradient<'g>(self, x: Var<'g>, _y: Var<'g>, dy: Var<'g>) -> Var<'g> {
        dy * SparseSigmoid.apply(x)
    }
}
