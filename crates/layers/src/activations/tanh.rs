//! `tanh`.

use super::define::activation;

activation!(
    /// The hyperbolic tangent, (eˣ − e⁻ˣ) / (eˣ + e⁻ˣ), in (−1, 1).
    ///
    /// Keras: <https://keras.io/api/layers/activations/#tanh-function>.
    Tanh, "keras.activations.tanh", |x| x.tanh()
);
