//! `silu`.

use super::define::activation;

activation!(
    /// x · sigmoid(x), in [−0.28, ∞): also known as swish.
    ///
    /// Ramachandran, Zoph and Le 2017 (<https://arxiv.org/abs/1710.05941>);
    /// Keras: <https://keras.io/api/layers/activations/#silu-function>.
    Silu, "keras.activations.silu", |x| x.silu()
);
