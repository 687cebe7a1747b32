//! Multiplying by noise while training.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;

use super::support::single;
use crate::settings::require;
use crate::{Call, Flow, Layer, Weights};

settings! {
    /// While it trains, `y = x · n` with normally distributed `n` of mean 1 and standard deviation
    /// `√(rate / (1 − rate))`, as much as [`Dropout`](crate::layers::Dropout)'s mask has; otherwise
    /// `y = x`.
    ///
    /// Input and output have the same shape, any; there are no weights. Frozen, it changes nothing.
    /// Srivastava et al. 2014.
    /// Keras: <https://keras.io/api/layers/regularization_layers/gaussian_dropout/>.
    #[derive(Clone, Debug)]
    pub struct GaussianDropout as "keras.layers.GaussianDropout" {
        /// A layer with as much noise as dropping with probability `rate` (from 0 to below 1).
        new(rate: f32 = 0.0)
        rate: f32 = rate,
        /// Draws from stream `seed` of the training's seed, instead of one chosen by the layer's
        /// position.
        seed: Option<u64> = None,
    }
}

impl Layer for GaussianDropout {
    fn flow(&self) -> Flow {
        Flow::Keeps
    }

    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        let fits = (0.0..1.0).contains(&self.rate);
        require(fits, "rate", "a number from 0 to below 1", self.rate)?;
        single(inputs).map(|_| ())
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        let x = inputs[0];
        if !call.training() || self.rate == 0.0 {
            return x;
        }
        let stddev = (self.rate / (1.0 - self.rate)).sqrt();
        let stream = call.stream(self.seed);
        x * call.graph().random_normal(stream, x.shape(), 1.0, stddev)
    }

    fn mask<'g>(&self, call: &Call<'g, '_>, _inputs: &[Var<'g>]) -> Option<Var<'g>> {
        call.mask(0)
    }
}
