//! `glu`.

use regraft_autograd::Var;

use crate::ActivationFunction;
use crate::contract::axis::resolve;

settings! {
    /// a · sigmoid(b), where a and b are the halves of x along `axis`, which must have an even size;
    /// the result is half as large along it.
    ///
    /// Dauphin and others 2016 (<https://arxiv.org/abs/1612.08083>);
    /// Keras: <https://keras.io/api/layers/activations/#glu-function>.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Glu as "keras.activations.glu" or "regraft.activations.glu" {
        /// The axis that is halved; Keras' default is the last, −1.
        pub axis: isize = -1,
    }
}

impl ActivationFunction for Glu {
    fn apply<'g>(&self, x: Var<'g>) -> Var<'g> {
        match resolve("glu", x, self.axis) {
            Some(axis) => x.glu(axis),
            None => x,
        }
    }
}
