//! `softmax`.

use regraft_autograd::Var;

use crate::ActivationFunction;
use crate::contract::axis::along;

settings! {
    /// exp(x) / Σ exp(x) along `axis`: numbers in (0, 1) that add up to 1. The largest x is subtracted
    /// first, so that large ones do not overflow.
    ///
    /// Keras: <https://keras.io/api/layers/activations/#softmax-function>.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Softmax as "keras.activations.softmax" or "keras.layers.Softmax" {
        /// The axis along which they add up to 1; Keras' default is the last, −1.
        pub axis: isize = -1,
    }
}

impl ActivationFunction for Softmax {
    fn apply<'g>(&self, x: Var<'g>) -> Var<'g> {
        along("softmax", x, self.axis, Var::softmax)
    }
}
