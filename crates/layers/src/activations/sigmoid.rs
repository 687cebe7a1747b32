//! `sigmoid`.

use super::define::activation;

activation!(
    /// 1 / (1 + e⁻ˣ), in (0, 1).
    ///
    /// Keras: <https://keras.io/api/layers/activations/#sigmoid-function>.
    Sigmoid, "keras.activations.sigmoid", |x| x.sigmoid()
);
