//! `hard_silu`.

use super::HardSigmoid;
use super::define::activation;

activation!(
    /// x · [`hard_sigmoid`](super::HardSigmoid)(x), in [−0.375, ∞): also known as hard swish. It is
    /// `silu` made of straight pieces and a parabola.
    ///
    /// Howard and others 2019 (<https://arxiv.org/abs/1905.02244>);
    /// Keras: <https://keras.io/api/layers/activations/#hard_silu-function>.
    HardSilu, "keras.activations.hard_silu", |x| x * HardSigmoid.apply(x)
);
