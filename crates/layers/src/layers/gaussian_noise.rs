//! Adding noise while training.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;

use super::support::single;
use crate::settings::require;
use crate::{Call, Flow, Layer, Weights};

settings! {
    /// While it trains, `y = x + n` with normally distributed `n` of mean 0 and standard deviation
    /// `stddev`; otherwise `y = x`.
    ///
    /// Input and output have the same shape, any; there are no weights. Frozen, it adds nothing.
    /// Keras: <https://keras.io/api/layers/regularization_layers/gaussian_noise/>.
    #[derive(Clone, Debug)]
    pub struct GaussianNoise as "keras.layers.GaussianNoise" {
        /// A layer that adds noise of standard deviation `stddev`, from 0 to 1 as in Keras.
        new(stddev: f32 = 0.0)
        stddev: f32 = stddev,
        /// Draws from stream `seed` of the training's seed, instead of one chosen by the layer's
        /// position.
        seed: Option<u64> = None,
    }
}

impl Layer for GaussianNoise {
    fn flow(&self) -> Flow {
        Flow::Keeps
    }

    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        let fits = (0.0..=1.0).contains(&self.stddev);
        require(fits, "stddev", "a number from 0 to 1", self.stddev)?;
        single(inputs).map(|_| ())
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        let x = inputs[0];
        if !call.training() || self.stddev == 0.0 {
            return x;
        }
        let stream = call.stream(self.seed);
        x + call
            .graph()
            .random_normal(stream, x.shape(), 0.0, self.stddev)
    }

    fn mask<'g>(&self, call: &Call<'g, '_>, _inputs: &[Var<'g>]) -> Option<Var<'g>> {
        call.mask(0)
    }
}
