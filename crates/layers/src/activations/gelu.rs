//! `gelu`.

use regraft_autograd::Var;

use crate::ActivationFunction;

settings! {
    /// x · Φ(x), in [−0.17, ∞), where Φ is the distribution function of the standard normal
    /// distribution; or its approximation x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³))).
    ///
    /// Hendrycks and Gimpel 2016 (<https://arxiv.org/abs/1606.08415>);
    /// Keras: <https://keras.io/api/layers/activations/#gelu-function>.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Gelu as "keras.activations.gelu" or "regraft.activations.gelu" {
        /// Whether to approximate by a hyperbolic tangent; Keras does not unless told so.
        pub approximate: bool = false,
    }
}

impl ActivationFunction for Gelu {
    fn apply<'g>(&self, x: Var<'g>) -> Var<'g> {
        match self.approximate {
            true => x.gelu_tanh(),
            false => x.gelu(),
        }
    }
}
