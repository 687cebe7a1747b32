//! `squareplus`.

use regraft_autograd::Var;

use crate::ActivationFunction;
use crate::settings::require_rate;

settings! {
    /// (x + √(x² + `b`)) / 2, in (0, ∞): near `softplus`, without exponentials.
    ///
    /// Barron 2021 (<https://arxiv.org/abs/2112.11687>);
    /// Keras: <https://keras.io/api/layers/activations/#squareplus-function>.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct Squareplus as "keras.activations.squareplus" or "regraft.activations.squareplus" {
        /// How round the bend is; Keras' default is 4.
        pub b: f32 = 4.0 => require_rate,
    }
}

impl ActivationFunction for Squareplus {
    fn apply<'g>(&self, x: Var<'g>) -> Var<'g> {
        (x + (x.square() + self.b).sqrt()) * 0.5
    }
}
