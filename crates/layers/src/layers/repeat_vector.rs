//! A vector at every step of a sequence.

use regraft_autograd::{Dim, Shape, Var};
use regraft_tensor::Detail;
use serde_json::{Map, Value, json};

use super::support::{object, of_rank};
use crate::settings::{FromSettings, Settings, require};
use crate::{Call, Layer, Weights};

/// `y[b, t, f] = x[b, f]` for `n` steps `t`.
///
/// Input `(batch, features)`, output `(batch, n, features)`. There are no weights; being frozen changes
/// nothing. A mask is dropped.
/// Keras: <https://keras.io/api/layers/reshaping_layers/repeat_vector/>.
#[derive(Clone, Copy, Debug)]
pub struct RepeatVector {
    n: usize,
}

impl RepeatVector {
    /// A layer that repeats its input `n` times.
    pub fn new(n: usize) -> Self {
        RepeatVector { n }
    }
}

impl Layer for RepeatVector {
    fn class_name(&self) -> &str {
        "RepeatVector"
    }

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

    fn config(&self) -> Map<String, Value> {
        object(json!({ "n": self.n }))
    }
}

impl FromSettings for RepeatVector {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        Ok(RepeatVector::new(settings.size("n")?))
    }
}
