//! `softsign`.

use regraft_autograd::ops::{Map, Unary};
use regraft_autograd::{Var, attributes};

use super::define::activation;

activation!(
    /// x / (1 + |x|), in (−1, 1).
    ///
    /// Keras: <https://keras.io/api/layers/activations/#softsign-function>.
    Softsign, "keras.activations.softsign", |x| x.graph().apply(Map(Softsign), &[x])
);

impl Unary for Softsign {
    const NAME: &'static str = "softsign";

    attributes!();

    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        x / (1.0 + x.abs())
    }

    fn gradient<'g>(self, x: Var<'g>, _y: Var<'g>, dy: Var<'g>) -> Var<'g> {
        dy / (x.abs() + 1.0).square()
    }
}
