//! A vector at every step of a sequence.

use regraft_autograd::{Dim, Shape, Var};
use regraft_tensor::Detail;

use super::support::of_rank;
use crate::settings::require;
use crate::{Call, Layer, Weights};

settings! {
    /// `y[b, t, f] = x[b, f]` for `n` steps `t`.
    ///
    /// Input `(batch, features)`, output `(batch, n, features)`. There are no weights; being frozen changes
    /// nothing. A mask is dropped.
    /// Keras: <https://keras.io/api/layers/reshaping_layers/repeat_vector/>.
    #[derive(Clone, Copy, Debug)]
    pub struct RepeatVector as "keras.layers.RepeatVector" {
        /// A layer that repeats its input `n` times.
        new(n: usize)
        n: usize = n,
    }
}

impl Layer for RepeatVector {
    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        require(self.n > 0, "n", "at least 1", self.n)?;
        of_rank(inputs, 2).map(|_| ())
    }

    fn call<'g>(&self, _call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        let x = inputs[0];
        let mut dims = x.shape().dims().to_vec();
        dims.insert(1, Dim::Fixed(self.n));
        x.expand_dims(1).broadcast_to(Shape::from_iter(dims))
    }
}
