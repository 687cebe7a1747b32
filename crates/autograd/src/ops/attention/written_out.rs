//! Attention's weights and gradients with simple ops: for those who want to see weights, and for second derivatives.

use regraft_tensor::Tensor;

use super::{AllMasked, ScaledDotProductAttention, ScaledDotProductAttentionGradient};
use crate::{Dim, Graph, Shape, Var};

/// `(batch, steps, heads, size)` as `(batch, heads, steps, size)`, or the other way.
fn swapped(x: Var<'_>) -> Var<'_> {
    x.permute(&[0, 2, 1, 3])
}

/// `(batch, key_heads, steps, size)` with each head so often in a row.
fn repeated(x: Var<'_>, times: usize) -> Var<'_> {
    let &[batch, heads, steps, size] = x.shape().dims() else {
        return x;
    };
    let one = x.reshape([batch, heads, Dim::Fixed(1), steps, size]);
    let many = one.broadcast_to([batch, heads, Dim::Fixed(times), steps, size]);
    many.reshape([batch, Dim::Fixed(heads.size(1) * times), steps, size])
}

/// The sums of so many heads in a row.
fn summed(x: Var<'_>, times: usize) -> Var<'_> {
    let &[batch, heads, steps, size] = x.shape().dims() else {
        return x;
    };
    let heads = Dim::Fixed(heads.size(1) / times);
    x.reshape([batch, heads, Dim::Fixed(times), steps, size])
        .sum(&[2])
}

/// All of a sample in a row.
fn flat(x: Var<'_>) -> Var<'_> {
    let shape = x.shape();
    let sizes = shape.dims()[1..].iter().map(|dim| dim.size(1));
    x.reshape([shape.dims()[0], Dim::Fixed(sizes.product())])
}

impl ScaledDotProductAttention {
    /// Which keys queries see by its own settings: `(1, 1, queries, keys)`.
    fn band<'g>(&self, graph: &'g Graph, queries: usize, keys: usize) -> Var<'g> {
        let seen = |at: usize| {
            let (query, key) = (at / keys, at % keys);
            let near = self
                .window
                .is_none_or(|window| query.abs_diff(key) < window);
            f32::from(u8::from(near && (!self.causal || key <= query)))
        };
        let band = Tensor::new(
            [1, 1, queries, keys],
            (0..queries * keys).map(seen).collect(),
        );
        band.map_or_else(
            |_| graph.full(Shape::scalar(), 1.0),
            |band| graph.constant(band),
        )
    }
}

impl ScaledDotProductAttention {
    /// Where keys are seen, if any may not be: `(batch, heads, queries, keys)`, each or 1.
    fn seen<'g>(
        &self,
        graph: &'g Graph,
        masks: &[Var<'g>],
        queries: usize,
        keys: usize,
    ) -> Option<Var<'g>> {
        let mut seen: Vec<Var<'g>> = masks.iter().map(|mask| mask.not_equal(0.0)).collect();
        if self.is_banded() {
            seen.push(self.band(graph, queries, keys));
        }
        seen.into_iter().reduce(|a, b| a * b)
    }

    /// The weights for queries `(batch, heads, queries, size)` and as many heads of keys.
    fn weights<'g>(&self, q: Var<'g>, k: Var<'g>, seen: Option<Var<'g>>) -> Var<'g> {
        let scores = q.batch_matmul(k, false, true) * self.scale;
        match (seen, self.all_masked) {
            (None, _) => scores.softmax(),
            (Some(seen), AllMasked::Lowered) => seen.select(scores, scores - 1e9).softmax(),
            (Some(seen), AllMasked::Uniform) => seen.select(scores, LOW).softmax(),
            (Some(seen), AllMasked::Zero) => seen.select(seen.select(scores, LOW).softmax(), 0.0),
        }
    }
}

/// What stands in the place of a score that does not count, as in the kernel.
const LOW: f32 = -0.7 * f32::MAX;

/// The number of heads and of steps of `(batch, steps, heads, size)`.
fn heads_and_steps(x: Var<'_>) -> (usize, usize) {
    let size = |axis: usize| x.shape().dims().get(axis).map_or(1, |dim| dim.size(1));
    (size(2), size(1))
}

impl<'g> Var<'g> {
    /// The weights with which [`attention`](Self::attention) adds up values, `(batch, heads, queries, keys)`, written out
    /// with simple ops: for those who want to see them, or to change them before
    /// [`weighted_values`](Self::weighted_values) uses them.
    pub fn attention_weights(
        self,
        keys: Var<'g>,
        masks: &[Var<'g>],
        op: ScaledDotProductAttention,
    ) -> Var<'g> {
        let ((heads, queries), (key_heads, steps)) = (heads_and_steps(self), heads_and_steps(keys));
        let seen = op.seen(self.graph(), masks, queries, steps);
        let times = heads / key_heads.max(1);
        op.weights(swapped(self), repeated(swapped(keys), times), seen)
    }

    /// The sums of values `(batch, keys, key_heads, value_size)` with these weights, `(batch, heads, queries, keys)`:
    /// `(batch, queries, heads, value_size)`.
    pub fn weighted_values(self, values: Var<'g>) -> Var<'g> {
        let heads = self.shape().dims().get(1).map_or(1, |dim| dim.size(1));
        let times = heads / heads_and_steps(values).0.max(1);
        swapped(self.batch_matmul(repeated(swapped(values), times), false, false))
    }
}

/// The wanted gradients for operands `(q, k, v, dy, masks…)`, in a row for each sample.
pub(super) fn gradients<'g>(
    op: &ScaledDotProductAttentionGradient,
    operands: &[Var<'g>],
) -> Var<'g> {
    let attention = op.of;
    let graph = operands[0].graph();
    let ((heads, queries), (key_heads, keys)) =
        (heads_and_steps(operands[0]), heads_and_steps(operands[1]));
    let times = heads / key_heads.max(1);
    let seen = attention.seen(graph, &operands[4..], queries, keys);
    let [q, k, v, dy] = [0, 1, 2, 3].map(|index| swapped(operands[index]));
    let (k, v) = (repeated(k, times), repeated(v, times));
    let weights = attention.weights(q, k, seen);
    let of_weights = dy.batch_matmul(v, false, true);
    let along = (weights * of_weights).sum_keeping(&[3]);
    let of_scores = weights * (of_weights - along) * attention.scale;
    let of_scores = match (seen, attention.all_masked) {
        (Some(seen), AllMasked::Uniform) => seen.select(of_scores, 0.0),
        _ => of_scores,
    };
    let mut parts = Vec::with_capacity(3);
    if op.wanted[0] {
        parts.push(flat(swapped(of_scores.batch_matmul(k, false, false))));
    }
    if op.wanted[1] {
        let of_k = of_scores.batch_matmul(q, true, false);
        parts.push(flat(swapped(summed(of_k, times))));
    }
    if op.wanted[2] {
        let of_v = weights.batch_matmul(dy, true, false);
        parts.push(flat(swapped(summed(of_v, times))));
    }
    graph.concatenate(&parts, 1)
}
