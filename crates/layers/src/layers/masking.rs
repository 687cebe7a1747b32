//! Marking steps of a sequence as padding.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;

use super::support::single;
use crate::settings::require;
use crate::{Call, Layer, Weights};

settings! {
    /// `y = x`, with a mask: a step all of whose features are `mask_value` is padding, which does not
    /// count in what follows and is 0 here.
    ///
    /// | | |
    /// |---|---|
    /// | input, output | `(batch, …, features)`, the same; the [mask](Layer::mask) has all axes but the last |
    /// | defaults | a mask value of 0 |
    /// | weights | none; being frozen changes nothing |
    ///
    /// Pooling over time, normalization in training, losses and metrics leave padding out.
    /// Keras: <https://keras.io/api/layers/core_layers/masking/>.
    #[derive(Clone, Copy, Debug)]
    pub struct Masking as "keras.layers.Masking" {
        /// A layer for sequences that are padded with 0.
        new()
        /// The number that padding consists of.
        mask_value: f32 = 0.0,
    }
}

impl Masking {
    /// 1 where a step has a feature other than the mask value, with an axis of size 1 at the end.
    fn counting<'g>(&self, x: Var<'g>) -> Var<'g> {
        let last = x.shape().rank().saturating_sub(1);
        x.not_equal(self.mask_value).max_keeping(&[last])
    }
}

impl Layer for Masking {
    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        let input = single(inputs)?;
        require(input.rank() > 1, "", "an input (batch, …, features)", input)
    }

    fn call<'g>(&self, _call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        self.counting(inputs[0]).select(inputs[0], 0.0)
    }

    fn mask<'g>(&self, _call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Option<Var<'g>> {
        let last = inputs[0].shape().rank().saturating_sub(1);
        Some(self.counting(inputs[0]).squeeze(last))
    }
}
