//! `selu`.

use super::define::activation;
use super::exponential_linear::ExponentialLinear;

/// The constants of the paper, equation 14, to the digits that 32 bits hold.
const SELU: ExponentialLinear = ExponentialLinear {
    scale: 1.050_701,
    alpha: 1.673_263_2,
    width: 1.0,
};

activation!(
    /// λx where x > 0, else λα(eˣ − 1), with λ = 1.0507 and α = 1.6733, in (−1.76, ∞): chosen so
    /// that, with [`LecunNormal`](crate::initializers::LecunNormal) kernels, mean 0 and variance 1
    /// stay so from layer to layer.
    ///
    /// Klambauer and others 2017 (<https://arxiv.org/abs/1706.02515>);
    /// Keras: <https://keras.io/api/layers/activations/#selu-function>.
    Selu, "keras.activations.selu", |x| SELU.apply(x)
);
