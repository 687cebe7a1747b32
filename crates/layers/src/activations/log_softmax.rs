//! `log_softmax`.

use regraft_autograd::Var;

use crate::ActivationFunction;
use crate::contract::axis::along;

settings! {
    /// x − log Σ exp(x) along `axis`, in (−∞, 0]: the logarithm of `softmax`, computed without
    /// forming it.
    ///
    /// Keras: <https://keras.io/api/layers/activations/#log_softmax-function>.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct LogSoftmax as "keras.activations.log_softmax" or "regraft.activations.log_softmax" {
        /// The axis; Keras' default is the last, −1.
        pub axis: isize = -1,
    }
}

impl ActivationFunction for LogSoftmax {
    fn apply<'g>(&self, x: Var<'g>) -> Var<'g> {
        along("log_softmax", x, self.axis, Var::log_softmax)
    }
}
