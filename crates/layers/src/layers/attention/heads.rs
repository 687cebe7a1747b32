//! What layers with several heads share: their masks, and attention over any axes.

use regraft_autograd::ops::{AllMasked, ScaledDotProductAttention};
use regraft_autograd::{Dim, Error, Shape, Var};
use regraft_tensor::Detail;

use super::argument::{AttentionInput, AttentionInputs};
use crate::layers::dropout::drop;
use crate::layers::einsum_dense::EinsumDense;
use crate::layers::leading_axes::rows;
use crate::{Call, Constraint, Initializer, Regularizer};

/// What the projections of a layer have in common.
pub(super) struct Projections<'a> {
    pub bias: bool,
    pub kernel_initializer: &'a Initializer,
    pub bias_initializer: &'a Initializer,
    pub kernel_regularizer: &'a Option<Regularizer>,
    pub bias_regularizer: &'a Option<Regularizer>,
    pub activity_regularizer: &'a Option<Regularizer>,
    pub kernel_constraint: &'a Option<Constraint>,
    pub bias_constraint: &'a Option<Constraint>,
}

impl Projections<'_> {
    /// The layer that makes the last `from` axes to axes of these sizes.
    pub fn layer(&self, from: usize, sizes: &[usize], gate: bool) -> EinsumDense {
        let letters = |first: usize, count: usize| -> String {
            let letter = |at: usize| char::from(b'a' + (first + at).min(25) as u8);
            (0..count).map(letter).collect()
        };
        let (summed, made) = (letters(0, from), letters(from, sizes.len()));
        let equation = format!("...{summed},{summed}{made}->...{made}");
        let mut layer = EinsumDense::new(equation.as_str(), sizes.to_vec())
            .kernel_initializer(self.kernel_initializer.clone())
            .bias_initializer(self.bias_initializer.clone())
            .kernel_regularizer(self.kernel_regularizer.clone())
            .bias_regularizer(self.bias_regularizer.clone())
            .activity_regularizer(self.activity_regularizer.clone())
            .kernel_constraint(self.kernel_constraint.clone())
            .bias_constraint(self.bias_constraint.clone());
        if self.bias {
            layer = layer.bias_axes(made.as_str());
        }
        if gate {
            layer = layer.activation("sigmoid");
        }
        layer
    }
}

/// How a layer attends.
pub(super) struct Heads<'a> {
    pub inputs: &'a AttentionInputs,
    /// The axes of queries and keys along which steps look at each other, ascending.
    pub axes: Vec<usize>,
    pub scale: f32,
    pub causal: bool,
    pub window: Option<usize>,
    pub dropout: f32,
    pub seed: Option<u64>,
    pub scores: bool,
}

/// The product of some sizes.
fn product(dims: &[Dim]) -> usize {
    dims.iter().map(|dim| dim.size(1)).product()
}

/// Axes after the batch of a projected value `(batch, …, heads, size)`: those that are no axes of attention, and those
/// that are.
struct Axes {
    others: Vec<usize>,
    along: Vec<usize>,
}

impl Axes {
    fn of(x: Var<'_>, along: &[usize]) -> Self {
        let all = 1..x.shape().rank().saturating_sub(2);
        Axes {
            others: all.filter(|axis| !along.contains(axis)).collect(),
            along: along.to_vec(),
        }
    }

    fn dims(x: Var<'_>, axes: &[usize]) -> Vec<Dim> {
        axes.iter().map(|&axis| x.shape().dims()[axis]).collect()
    }

    /// All axes in the order batch, others, along, heads, size.
    fn order(&self, rank: usize) -> Vec<usize> {
        let ends = [rank - 2, rank - 1];
        [&[0], &self.others[..], &self.along, &ends].concat()
    }

    /// `(batch · others, steps, heads, size)`.
    fn joined<'g>(&self, x: Var<'g>) -> Var<'g> {
        let shape = x.shape();
        let dims = shape.dims();
        let batch = rows(dims[0], product(&Self::dims(x, &self.others)));
        let steps = Dim::Fixed(product(&Self::dims(x, &self.along)));
        let [.., heads, size] = dims else {
            return x;
        };
        x.permute(&self.order(shape.rank()))
            .reshape([batch, steps, *heads, *size])
    }
}

impl Heads<'_> {
    /// The outputs of a layer whose parts are the projections of query and key, a gate of the query if it is `gated`, and
    /// those of the value and of what the heads give.
    pub fn outputs<'g>(
        &self,
        call: &Call<'g, '_>,
        inputs: &[Var<'g>],
        gated: bool,
    ) -> Vec<Var<'g>> {
        let [query, value, key] = self.inputs.places(inputs.len()).map(|at| inputs[at]);
        let part = |index: usize, x: Var<'g>| call.wrapped(index, &[x], &[]).unwrap_or(x);
        let after = usize::from(gated);
        let gate = gated.then(|| part(2, query));
        let (query, key) = (part(0, query), part(1, key));
        let projected = [query, part(2 + after, value), key];
        let (y, scores) = self.attend(call, inputs, projected);
        let y = gate.map_or(y, |gate| y * gate);
        let mut outputs = vec![part(3 + after, y)];
        outputs.extend(scores);
        outputs
    }

    /// The result for projected values `(batch, …, heads, size)`, and the weights `(batch, …, heads, queries, keys)` if
    /// they are asked for. `inputs` are those of the layer.
    fn attend<'g>(
        &self,
        call: &Call<'g, '_>,
        inputs: &[Var<'g>],
        [query, value, key]: [Var<'g>; 3],
    ) -> (Var<'g>, Option<Var<'g>>) {
        let axes = Axes::of(query, &self.axes);
        let (q, k, v) = (axes.joined(query), axes.joined(key), axes.joined(value));
        let masks = self.masks(call, inputs, query, key, &axes);
        let plain = self.dropout == 0.0 && !self.scores && query.shape().rank() == 4;
        let op = ScaledDotProductAttention {
            scale: self.scale,
            causal: self.causal,
            window: self.window,
            // As Keras' ways of computing it differ.
            all_masked: match (call.as_keras2(), plain) {
                (true, _) => AllMasked::Lowered,
                (false, true) => AllMasked::Uniform,
                (false, false) => AllMasked::Zero,
            },
        };
        let drops = self.dropout > 0.0 && call.training();
        let (y, weights) = match drops || self.scores {
            false => (q.attention(k, v, &masks, op), None),
            true => {
                let weights = q.attention_weights(k, &masks, op);
                let left = drop(call, weights, weights.shape(), self.dropout, self.seed);
                (left.weighted_values(v), Some(weights))
            }
        };
        let weights = weights.filter(|_| self.scores);
        (
            self.apart(y, query, &axes),
            weights.map(|weights| self.scored(weights, query, key, &axes)),
        )
    }

    /// The result with the axes of the query.
    fn apart<'g>(&self, y: Var<'g>, query: Var<'g>, axes: &Axes) -> Var<'g> {
        let order = axes.order(query.shape().rank());
        let (shape, of_y) = (query.shape(), y.shape());
        let mut dims: Vec<Dim> = order.iter().map(|&axis| shape.dims()[axis]).collect();
        if let (Some(size), Some(made)) = (dims.last_mut(), of_y.dims().last()) {
            *size = *made;
        }
        let mut back = vec![0; order.len()];
        order
            .iter()
            .enumerate()
            .for_each(|(to, &from)| back[from] = to);
        y.reshape(Shape::from_iter(dims)).permute(&back)
    }

    /// The weights with the axes of query and key.
    fn scored<'g>(&self, weights: Var<'g>, query: Var<'g>, key: Var<'g>, axes: &Axes) -> Var<'g> {
        let (of_query, of_weights) = (query.shape(), weights.shape());
        let first = [of_query.dims()[0]].into_iter();
        let dims = first
            .chain(Axes::dims(query, &axes.others))
            .chain(of_weights.dims().get(1).copied())
            .chain(Axes::dims(query, &axes.along))
            .chain(Axes::dims(key, &axes.along));
        weights.reshape(dims.collect::<Shape>())
    }

    /// The masks `(batch · others, heads, queries, keys)`, each axis as long or 1: those of the query's, the value's and
    /// the key's steps, and the one that was given.
    fn masks<'g>(
        &self,
        call: &Call<'g, '_>,
        inputs: &[Var<'g>],
        query: Var<'g>,
        key: Var<'g>,
        axes: &Axes,
    ) -> Vec<Var<'g>> {
        let count = inputs.len();
        let place = |input| self.inputs.place(input, count);
        let given = |input| place(input).map(|at: usize| inputs[at]);
        let of = |input| place(input).and_then(|at| call.mask(at));
        let value = given(AttentionInput::ValueMask).or(of(AttentionInput::Value));
        let of_key = given(AttentionInput::KeyMask).or(of(AttentionInput::Key));
        let last = |mask: Var<'g>| mask.expand_dims(mask.shape().rank());
        let before_last = |mask: Var<'g>| mask.expand_dims(mask.shape().rank() - 1);
        let masks = [
            of(AttentionInput::Query).map(last),
            value.map(before_last),
            of_key.map(before_last),
            given(AttentionInput::AttentionMask),
        ];
        let masks = masks.into_iter().flatten();
        masks
            .map(|mask| self.aligned(mask, query, key, axes))
            .collect()
    }

    fn aligned<'g>(&self, mask: Var<'g>, query: Var<'g>, key: Var<'g>, axes: &Axes) -> Var<'g> {
        let along = axes.along.len();
        let (others, of_query, of_key) = (
            Axes::dims(query, &axes.others),
            Axes::dims(query, &axes.along),
            Axes::dims(key, &axes.along),
        );
        let whole = 2 + others.len() + 2 * along;
        let shape = mask.shape();
        if shape.rank() < 1 + 2 * along || shape.rank() > whole {
            let expected = format!("a mask (batch, {along} axes of queries, as many of keys)");
            let detail = Detail::new("attention_mask", expected, shape);
            mask.graph().fail(Error::Shape(detail));
            return mask.graph().full([1, 1, 1, 1], 1.0);
        }
        let mut mask = mask;
        while mask.shape().rank() < whole {
            mask = mask.expand_dims(mask.shape().rank() - 2 * along);
        }
        if whole == 4 {
            return mask;
        }
        let shape = mask.shape();
        let dims = shape.dims();
        let heads = dims[1 + others.len()];
        let all = [&[dims[0]], &others[..], &[heads], &of_query, &of_key].concat();
        let batch = rows(dims[0], product(&others));
        let steps = [product(&of_query), product(&of_key)].map(Dim::Fixed);
        mask.broadcast_to(Shape::from_iter(all))
            .reshape([batch, heads, steps[0], steps[1]])
    }
}
