//! `mish`.

use super::define::activation;

activation!(
    /// x · tanh(softplus(x)), in [−0.31, ∞).
    ///
    /// Misra 2019 (<https://arxiv.org/abs/1908.08681>);
    /// Keras: <https://keras.io/api/layers/activations/#mish-function>.
    Mish, "keras.activations.mish", |x| x * x.softplus().tanh()
);
