//! `sparsemax`.

use regraft_autograd::Var;

use crate::ActivationFunction;
use crate::contract::axis::along;

settings! {
    /// The point nearest to x with numbers ≥ 0 along `axis` that add up to 1: max(x − τ, 0) for the τ
    /// that makes it so. Unlike `softmax` it gives exact zeros.
    ///
    /// Martins and Astudillo 2016 (<https://arxiv.org/abs/1602.02068>);
    /// Keras: <https://keras.io/api/layers/activations/#sparsemax-function>. As of Keras 3.15 its
    /// numbers are others wherever more than one of a row is above 0: there they do not add up to 1.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Sparsemax as "keras.activations.sparsemax" or "regraft.activations.sparsemax" {
        /// The axis; Keras' default is the last, −1.
        pub axis: isize = -1,
    }
}

impl ActivationFunction for Sparsemax {
    fn apply<'g>(&self, x: Var<'g>) -> Var<'g> {
        along("sparsemax", x, self.axis, Var::sparsemax)
    }
}
