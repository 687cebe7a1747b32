//! `linear`.

use super::define::activation;

activation!(
    /// x itself, the activation of a layer without one.
    ///
    /// Keras: <https://keras.io/api/layers/activations/#linear-function>.
    Linear, "keras.activations.linear", |x| x
);
