//! Attention without projections, by products of queries and keys.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;

use super::scored::{Scored, check, parts};
use crate::layers::dropout::require_probability;
use crate::settings::require;
use crate::{Call, Initializer, Layer, Weights};

settings! {
    /// `y = softmax(query · keyᵀ) · value` (Luong), or with the score mode `concat`
    /// `y = softmax(w · Σ tanh(query + key)) · value`.
    ///
    /// | | |
    /// |---|---|
    /// | inputs | query `(batch, queries, features)`, value `(batch, keys, …)`, and key `(batch, keys, features)` if it is another |
    /// | output | `(batch, queries, features of the value)`; with [`return_attention_scores`](Self::return_attention_scores) also the weights `(batch, queries, keys)` |
    /// | weights | with `use_scale` a number `scale`, with which scores (in `concat`, sums) are multiplied; in `concat` a number `concat_score_weight`; both 1 at first |
    /// | frozen | the numbers are constants; no dropout |
    ///
    /// Steps that the value's mask leaves out are not seen, results for those that the query's leaves out are 0.
    /// Keras: <https://keras.io/api/layers/attention_layers/attention/>.
    #[derive(Clone, Debug)]
    pub struct Attention as "keras.layers.Attention" {
        /// Attention with scores that are products.
        new()
        /// Whether scores are multiplied with a number that is learnt.
        use_scale: bool = false,
        /// `dot` or `concat`.
        score_mode: String = "dot",
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

impl Attention {
    fn concatenates(&self) -> bool {
        self.score_mode == "concat"
    }
}

impl Layer for Attention {
    fn build(&self, inputs: &[Shape], weights: &mut Weights) -> Result<(), Detail> {
        let known = self.concatenates() || self.score_mode == "dot";
        require(
            known,
            "score_mode",
            "\"dot\" or \"concat\"",
            format!("{:?}", self.score_mode),
        )?;
        require_probability(self.dropout).map_err(|detail| detail.within("dropout"))?;
        check(inputs)?;
        if self.use_scale {
            weights.parameter("scale", [], &Initializer::ones());
        }
        if self.concatenates() {
            weights.parameter("concat_score_weight", [], &Initializer::ones());
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
        let scale = self.use_scale.then(|| call.weight("scale"));
        let scaled = |x: Var<'g>| scale.map_or(x, |scale| x * scale);
        if !self.concatenates() {
            return scored.products(call, [scaled(query), value, key]);
        }
        let sums = scaled(query.expand_dims(2) + key.expand_dims(1))
            .tanh()
            .sum(&[3]);
        scored.sum(call, sums * call.weight("concat_score_weight"), value)
    }

    fn mask<'g>(&self, call: &Call<'g, '_>, _inputs: &[Var<'g>]) -> Option<Var<'g>> {
        call.mask(0)
    }
}
