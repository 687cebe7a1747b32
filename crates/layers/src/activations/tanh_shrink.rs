//! `tanh_shrink`.

use super::define::activation;

activation!(
    /// x − tanh(x), in (−∞, ∞).
    ///
    /// Keras: <https://keras.io/api/layers/activations/#tanh_shrink-function>.
    TanhShrink, "keras.activations.tanh_shrink", |x| x - x.tanh()
);
