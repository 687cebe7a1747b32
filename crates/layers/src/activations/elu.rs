//! `elu`.

use regraft_autograd::Var;

use super::exponential_linear::ExponentialLinear;
use crate::ActivationFunction;
use crate::settings::require_rate;

settings! {
    /// x where x > 0, else `alpha` · (eˣ − 1), in (−alpha, ∞).
    ///
    /// Clevert, Unterthiner and Hochreiter 2015 (<https://arxiv.org/abs/1511.07289>);
    /// Keras: <https://keras.io/api/layers/activations/#elu-function>.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct Elu as "keras.activations.elu" or "keras.layers.ELU" {
        /// How far below 0 it goes; Keras' default is 1.
        pub alpha: f32 = 1.0 => require_rate,
    }
}

impl ActivationFunction for Elu {
    fn apply<'g>(&self, x: Var<'g>) -> Var<'g> {
        let (scale, alpha, width) = (1.0, self.alpha, 1.0);
        ExponentialLinear {
            scale,
            alpha,
            width,
        }
        .apply(x)
    }
}
