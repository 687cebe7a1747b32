//! The dropout that goes with SELU.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;

use super::dropout::{check_noise_shape, mask_shape};
use crate::settings::require;
use crate::{Call, Flow, Layer, Weights};

/// The value that SELU has far to the left, −λα, which stands for "off".
const OFF: f32 = -1.673_263_2 * 1.050_701;

settings! {
    /// While it trains, sets each element with probability `rate` to SELU's lowest value and scales and
    /// shifts the result so that mean 0 and variance 1 stay: `y = a · (x · kept + off · (1 − kept)) + b`
    /// with `off = −λα`, `a = 1 / √((1 − rate)(1 + rate · off²))`, `b = −a · off · rate`; otherwise
    /// `y = x`.
    ///
    /// Input and output have the same shape, any; there are no weights. Frozen, it drops nothing.
    /// Klambauer et al. 2017.
    /// Keras: <https://keras.io/api/layers/regularization_layers/alpha_dropout/>.
    #[derive(Clone, Debug)]
    pub struct AlphaDropout as "keras.layers.AlphaDropout" {
        /// A layer that drops each element with probability `rate` (from 0 to below 1).
        new(rate: f32 = 0.0)
        rate: f32 = rate,
        /// Draws from stream `seed` of the training's seed, instead of one chosen by the layer's
        /// position.
        seed: Option<u64> = None,
        /// The shape of the random mask, `None` where it is the input's.
        noise_shape: Option<Vec<Option<usize>>> = None,
    }
}

impl Layer for AlphaDropout {
    fn flow(&self) -> Flow {
        Flow::Keeps
    }

    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        let fits = (0.0..1.0).contains(&self.rate);
        require(fits, "rate", "a number from 0 to below 1", self.rate)?;
        check_noise_shape(inputs, &self.noise_shape)
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        let x = inputs[0];
        if !call.training() || self.rate == 0.0 {
            return x;
        }
        let rate = self.rate;
        let a = ((1.0 - rate) * (1.0 + rate * OFF * OFF)).sqrt().recip();
        let b = -a * OFF * rate;
        let mask = mask_shape(&x.shape(), &self.noise_shape);
        let kept = call
            .graph()
            .bernoulli(call.stream(self.seed), mask, 1.0 - rate);
        (x * kept + (1.0 - kept) * OFF) * a + b
    }

    fn mask<'g>(&self, call: &Call<'g, '_>, _inputs: &[Var<'g>]) -> Option<Var<'g>> {
        call.mask(0)
    }
}
