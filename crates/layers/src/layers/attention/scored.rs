//! What attention without projections has in common: `y = softmax(scores) · value`.

use regraft_autograd::ops::{AllMasked, ScaledDotProductAttention};
use regraft_autograd::{Shape, Var};
use regraft_tensor::{Detail, Tensor};

use crate::Call;
use crate::layers::dropout::drop;

/// The query, the value and the key of such a layer.
pub(super) fn parts<T: Clone>(inputs: &[T]) -> [T; 3] {
    let key = inputs.get(2).unwrap_or(&inputs[1]);
    [inputs[0].clone(), inputs[1].clone(), key.clone()]
}

/// Checks the inputs, and returns the features of the query.
pub(super) fn check(inputs: &[Shape]) -> Result<usize, Detail> {
    let received = || {
        inputs
            .iter()
            .map(Shape::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let sequence = |shape: &Shape| shape.rank() == 3 && shape.is_batch_first();
    if !(2..=3).contains(&inputs.len()) || !inputs.iter().all(sequence) {
        let expected = "query and value, or query, value and key, each (batch, steps, features)";
        return Err(Detail::new("", expected, received()));
    }
    let [query, value, key] = parts(inputs);
    let features = query.dims()[2].size(1);
    if key.dims()[1] != value.dims()[1] || key.dims()[2] != query.dims()[2] {
        let expected = "a key with the features of the query and the steps of the value";
        return Err(Detail::new("", expected, received()));
    }
    Ok(features)
}

/// How a layer adds up values.
pub(super) struct Scored {
    pub causal: bool,
    pub dropout: f32,
    pub seed: Option<u64>,
    /// Whether the weights are asked for.
    pub weights: bool,
}

impl Scored {
    /// What the layer does with scores `(batch, queries, keys)`: the result, and the weights if they are asked for.
    pub fn sum<'g>(&self, call: &Call<'g, '_>, scores: Var<'g>, value: Var<'g>) -> Vec<Var<'g>> {
        let seen = self.seen(call, scores);
        let scores = match seen {
            Some(seen) => seen.select(scores, scores - 1e9),
            None => scores,
        };
        self.weighted(call, scores.softmax(), value)
    }

    /// The same for the products of queries and keys, without scores that are stored unless something needs them.
    pub fn products<'g>(
        &self,
        call: &Call<'g, '_>,
        [query, value, key]: [Var<'g>; 3],
    ) -> Vec<Var<'g>> {
        let op = ScaledDotProductAttention {
            causal: self.causal,
            all_masked: AllMasked::Lowered,
            ..ScaledDotProductAttention::new(1.0)
        };
        let masks: Vec<Var<'g>> = call
            .mask(1)
            .map(|mask| mask.expand_dims(1).expand_dims(1))
            .into_iter()
            .collect();
        let [query, keys, values] = [query, key, value].map(|x| x.expand_dims(2));
        match self.weights || self.dropout > 0.0 && call.training() {
            false => vec![hidden(
                call,
                query.attention(keys, values, &masks, op).squeeze(2),
            )],
            true => {
                let weights = query.attention_weights(keys, &masks, op).squeeze(1);
                self.weighted(call, weights, value)
            }
        }
    }

    fn weighted<'g>(&self, call: &Call<'g, '_>, weights: Var<'g>, value: Var<'g>) -> Vec<Var<'g>> {
        let left = drop(call, weights, weights.shape(), self.dropout, self.seed);
        let mut results = vec![hidden(call, left.batch_matmul(value, false, false))];
        // Keras gives the weights as dropped.
        results.extend(self.weights.then_some(left));
        results
    }

    /// Which keys queries see, if any may be hidden: `(batch or 1, queries or 1, keys)`.
    fn seen<'g>(&self, call: &Call<'g, '_>, scores: Var<'g>) -> Option<Var<'g>> {
        let shape = scores.shape();
        let [queries, keys] = [1, 2].map(|axis| shape.dims()[axis].size(1));
        let band = |at: usize| f32::from(u8::from(at % keys <= at / keys));
        let causal = || Tensor::new([1, queries, keys], (0..queries * keys).map(band).collect());
        let causal = self.causal.then(causal).and_then(Result::ok);
        let causal = causal.map(|band| call.graph().constant(band));
        let masks = [call.mask(1).map(|mask| mask.expand_dims(1)), causal];
        masks.into_iter().flatten().reduce(|a, b| a * b)
    }
}

/// The result, which is 0 for queries that are padding.
fn hidden<'g>(call: &Call<'g, '_>, y: Var<'g>) -> Var<'g> {
    match call.mask(0) {
        Some(mask) => mask.expand_dims(2).select(y, 0.0),
        None => y,
    }
}
