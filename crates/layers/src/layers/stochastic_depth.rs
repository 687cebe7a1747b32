//! Leaving out whole samples of a branch at random while training.

use regraft_autograd::{Dim, Shape, Var};
use regraft_tensor::Detail;

use super::dropout::{drop, require_probability};
use super::support::single;
use crate::{Call, Flow, Layer, Weights};

settings! {
    /// While it trains, all of a sample is zero with probability `drop_path_rate`, and the other samples
    /// are multiplied by `1 / (1 − drop_path_rate)`; otherwise `y = x`. At the end of a residual branch it
    /// leaves the branch out.
    ///
    /// The output has the input's shape. There are no weights. Frozen, it drops nothing.
    ///
    /// Huang et al. 2016. Keras: <https://keras.io/api/applications/convnext/>.
    #[derive(Clone, Copy, Debug)]
    pub struct StochasticDepth as "keras.src.applications.convnext.StochasticDepth" {
        /// A layer that drops each sample with probability `drop_path_rate`.
        new(drop_path_rate: f32)
        drop_path_rate: f32 = drop_path_rate,
    }
}

impl Layer for StochasticDepth {
    fn flow(&self) -> Flow {
        Flow::Keeps
    }

    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        require_probability(self.drop_path_rate)?;
        single(inputs).map(|_| ())
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        let x = inputs[0];
        let mut mask = vec![Dim::Fixed(1); x.shape().rank()];
        if let Some(samples) = mask.first_mut() {
            *samples = x.shape().dims()[0];
        }
        drop(call, x, mask.into(), self.drop_path_rate, None)
    }

    /// Kept where the input is left as it is.
    fn mask<'g>(&self, call: &Call<'g, '_>, _inputs: &[Var<'g>]) -> Option<Var<'g>> {
        call.mask(0).filter(|_| !call.training())
    }
}
