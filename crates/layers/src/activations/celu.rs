//! `celu`.

use regraft_autograd::Var;

use super::exponential_linear::ExponentialLinear;
use crate::ActivationFunction;
use crate::settings::require_positive;

settings! {
    /// max(x, 0) + min(0, `alpha` · (exp(x / `alpha`) − 1)), in (−alpha, ∞): `elu` without a kink at 0.
    ///
    /// Barron 2017 (<https://arxiv.org/abs/1704.07483>);
    /// Keras: <https://keras.io/api/layers/activations/#celu-function>.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct Celu as "keras.activations.celu" or "regraft.activations.celu" {
        /// How far below 0 it goes, and how wide the bend is; Keras' default is 1.
        pub alpha: f32 = 1.0 => require_positive,
    }
}

impl ActivationFunction for Celu {
    fn apply<'g>(&self, x: Var<'g>) -> Var<'g> {
        let (scale, alpha, width) = (1.0, self.alpha, self.alpha);
        ExponentialLinear {
            scale,
            alpha,
            width,
        }
        .apply(x)
    }
}
