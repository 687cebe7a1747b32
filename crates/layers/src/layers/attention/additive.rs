//! Attention without projections, by sums of queries and keys.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;

use super::scored::{Scored, check, parts};
use crate::layers::dropout::require_probability;
use crate::{Call, Initializer, Layer, Weights};

settings! {
    /// `y = softmax(Σ scale · tanh(query + key)) · value` (Bahdanau), the sum over features.
    ///
    /// | | |
    /// |---|---|
    /// | inputs | query `(batch, queries, features)`, value `(batch, keys, …)`, and key `(batch, keys, features)` if it is another |
    /// | output | `(batch, queries, features of the value)`; with [`return_attention_scores`](Self::return_attention_scores) also the weights `(batch, queries, keys)` |
    /// | weights | `scale` `(features)`, Glorot uniform, unless told otherwise |
    /// | frozen | the scale is a constant; no dropout |
    ///
    /// Masks as in [`Attention`](crate::layers::Attention).
    /// Keras: <https://keras.io/api/layers/attention_layers/additive_attention/>.
    #[derive(Clone, Debug)]
    pub struct AdditiveAttention as "keras.layers.AdditiveAttention" {
        /// Attention with a scale.
        new()
        /// Whether features are multiplied with numbers that are learnt.
        use_scale: bool = true,
        /// How likely each weight is dropped in training.
        dropout: f32 = 0.0,
        /// Draws from stream `seed` of the training's seed.
        seed: Option<u64> = None,
        /// Whether a query sees only keys up to its own place: an argument of the call in Keras.
        use_causal_mask: bool = false,
        /// Whether the weights are a second output: an argument of the call in Keras.
        return_attention_scores: bool = false,
    }
    reading |settings, it| {
        // A setting of the layer in earlier versions of Keras 2.
        if settings.get::<bool>("causal")? == Some(true) {
            it.use_causal_mask = true;
        }
    }
}

impl Layer for AdditiveAttention {
    fn build(&self, inputs: &[Shape], weights: &mut Weights) -> Result<(), Detail> {
        require_probability(self.dropout).map_err(|detail| detail.within("dropout"))?;
        let features = check(inputs)?;
        if self.use_scale {
            weights.parameter("scale", [features], &Initializer::from("glorot_uniform"));
        }
        Ok(())
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        self.call_all(call, inputs).swap_remove(0)
    }

    fn call_all<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Vec<Var<'g>> {
        let scored = Scored {
            causal: self.use_causal_mask,
            dropout: self.dropout,
            seed: self.seed,
            weights: self.return_attention_scores,
        };
        let [query, value, key] = parts(inputs);
        let sums = (query.expand_dims(2) + key.expand_dims(1)).tanh();
        let sums = match self.use_scale {
            true => sums * call.weight("scale"),
            false => sums,
        };
        scored.sum(call, sums.sum(&[3]), value)
    }

    fn mask<'g>(&self, call: &Call<'g, '_>, _inputs: &[Var<'g>]) -> Option<Var<'g>> {
        call.mask(0)
    }
}
