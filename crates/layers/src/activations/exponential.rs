//! `exponential`.

use super::define::activation;

activation!(
    /// eˣ, in (0, ∞).
    ///
    /// Keras: <https://keras.io/api/layers/activations/#exponential-function>.
    Exponential, "keras.activations.exponential", |x| x.exp()
);
