//! `softplus`.

use super::define::activation;

activation!(
    /// log(1 + eˣ), in (0, ∞).
    ///
    /// Keras: <https://keras.io/api/layers/activations/#softplus-function>.
    Softplus, "keras.activations.softplus", |x| x.softplus()
);
