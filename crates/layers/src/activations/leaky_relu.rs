//! `leaky_relu`.

use regraft_autograd::Var;

use crate::ActivationFunction;
use crate::settings::require_rate;

settings! {
    /// x where x > 0, else `negative_slope` · x, in (−∞, ∞).
    ///
    /// Maas, Hannun and Ng 2013; Keras: <https://keras.io/api/layers/activations/#leaky_relu-function>.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct LeakyRelu as "keras.activations.leaky_relu" or "keras.layers.LeakyReLU" {
        /// The slope where x is negative; Keras' default as a function is 0.2 (its layer has 0.3).
        pub negative_slope: f32 = 0.2 => require_rate,
    }
    reading |settings, it| {
        // The layer has another default, and Keras 2 wrote its slope as `alpha`.
        let default = match settings.owner() {
            "LeakyReLU" => 0.3,
            _ => it.negative_slope,
        };
        let alpha = settings.or::<f32>("alpha", default)?;
        it.negative_slope = settings.or("negative_slope", alpha)?;
    }
}

impl ActivationFunction for LeakyRelu {
    fn apply<'g>(&self, x: Var<'g>) -> Var<'g> {
        x.leaky_relu(self.negative_slope)
    }
}
