//! Attention with several heads, each of which looks at projections of its own.

use std::sync::Arc;

use regraft_autograd::{Dim, Shape, Var};
use regraft_tensor::Detail;

use super::argument::AttentionInputs;
use super::heads::{Heads, Projections};
use crate::layers::dropout::require_probability;
use crate::settings::{require, resolve};
use crate::{Call, Constraint, Initializer, Layer, LayerExt, LayerSpec, Regularizer, Weights};

settings! {
    /// `y = output(concatenate(heads))` with `head = softmax(query · keyᵀ / √key_dim) · value`, where query, key and value
    /// of each head are projections of the inputs.
    ///
    /// | | |
    /// |---|---|
    /// | inputs | query `(batch, …, features)`, value, and key if it is another; see [`inputs`](Self::inputs) |
    /// | output | `(batch, …, features of the query)`, or `output_shape` in the place of the last axis; with [`return_attention_scores`](Self::return_attention_scores) also the weights `(batch, heads, queries, keys)` |
    /// | weights | `query`, `key`: `(features, num_heads, key_dim)`; `value`: `(features, num_heads, value_dim)`; `attention_output`: `(num_heads, value_dim, features)`; each with a kernel and a bias |
    /// | defaults | `value_dim` as `key_dim`, biases, no dropout, all axes but the first and last |
    /// | frozen | kernels and biases are constants; no dropout |
    ///
    /// Each projection is a layer of the model (`multi_head_attention/query/kernel`), so that it can be frozen, adapted
    /// and selected by itself. Masks of query, value and key are combined as in Keras, and the output has the mask of
    /// the query. Keras 3 takes the masks off its inputs, so what reads these afterwards (a residual sum) has none; so does this.
    ///
    /// ```
    /// use regraft_layers::layers::MultiHeadAttention;
    /// use regraft_layers::Functional;
    ///
    /// let mut f = Functional::new();
    /// let x = f.input([10, 16]);
    /// let y = f.apply(MultiHeadAttention::new(2, 8).use_causal_mask(true), &[x, x])?;
    /// let model = f.model(&[x], &[y])?;
    /// assert_eq!(model.output_shape()?.to_string(), "(None, 10, 16)");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Vaswani et al. 2017. Keras: <https://keras.io/api/layers/attention_layers/multi_head_attention/>.
    #[derive(Clone, Debug)]
    pub struct MultiHeadAttention as "keras.layers.MultiHeadAttention" {
        /// Attention of `num_heads` heads with queries and keys of `key_dim` features.
        new(num_heads: usize, key_dim: usize)
        num_heads: usize = num_heads,
        key_dim: usize = key_dim,
        /// The features of a value; those of a key unless given.
        value_dim: Option<usize> = None,
        /// How likely each weight is dropped in training.
        dropout: f32 = 0.0,
        /// Whether projections have biases.
        use_bias: bool = true,
        /// Whether the heads' results are multiplied with a sigmoid gate of the query.
        use_gate: bool = false,
        /// The sizes of the output's last axes; those of the query unless given.
        output_shape: Option<Vec<usize>> = None,
        /// The axes along which steps look at each other; all but the first and the last unless given.
        attention_axes: Option<Vec<isize>> = None,
        /// A query sees keys that are less than this away.
        sliding_window: Option<usize> = None,
        /// Where kernels start.
        kernel_initializer: Initializer = "glorot_uniform",
        /// Where biases start.
        bias_initializer: Initializer = "zeros",
        /// A penalty on kernels.
        kernel_regularizer: Option<Regularizer> = None,
        /// A penalty on biases.
        bias_regularizer: Option<Regularizer> = None,
        /// A penalty on what each projection gives.
        activity_regularizer: Option<Regularizer> = None,
        /// What holds for kernels after each update.
        kernel_constraint: Option<Constraint> = None,
        /// What holds for biases after each update.
        bias_constraint: Option<Constraint> = None,
        /// Draws from stream `seed` of the training's seed.
        seed: Option<u64> = None,
        /// What the inputs are, if not query and value, or query, value and key: Keras' arguments of the call.
        inputs: AttentionInputs = AttentionInputs::default(),
        /// Whether a query sees only keys up to its own place: an argument of the call in Keras.
        use_causal_mask: bool = false,
        /// Whether the weights are a second output: an argument of the call in Keras.
        return_attention_scores: bool = false,
    }
    reading |settings, _it| {
        // What Keras 2 notes beside.
        settings.ignore(&[
            "query_shape",
            "key_shape",
            "value_shape",
            "softmax_robust_masking",
            "flash_attention",
        ]);
    }
    writing |it, config| {
        // What not every version of Keras 3 knows.
        if !it.use_gate {
            config.remove("use_gate");
        }
        if it.sliding_window.is_none() {
            config.remove("sliding_window");
        }
    }
}

impl MultiHeadAttention {
    fn values(&self) -> usize {
        self.value_dim.unwrap_or(self.key_dim)
    }

    fn projections(&self) -> Projections<'_> {
        Projections {
            bias: self.use_bias,
            kernel_initializer: &self.kernel_initializer,
            bias_initializer: &self.bias_initializer,
            kernel_regularizer: &self.kernel_regularizer,
            bias_regularizer: &self.bias_regularizer,
            activity_regularizer: &self.activity_regularizer,
            kernel_constraint: &self.kernel_constraint,
            bias_constraint: &self.bias_constraint,
        }
    }

    /// The axes of attention of a query of so many axes.
    fn axes(&self, rank: usize) -> Result<Vec<usize>, Detail> {
        match &self.attention_axes {
            None => Ok((1..rank - 1).collect()),
            Some(axes) => resolve(axes, rank),
        }
    }
}

impl Layer for MultiHeadAttention {
    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        self.inputs.check(inputs.len())?;
        require(
            self.num_heads > 0,
            "num_heads",
            "at least 1",
            self.num_heads,
        )?;
        require(self.key_dim > 0, "key_dim", "at least 1", self.key_dim)?;
        require(self.values() > 0, "value_dim", "at least 1", self.values())?;
        require(
            self.sliding_window != Some(0),
            "sliding_window",
            "at least 1",
            0,
        )?;
        require_probability(self.dropout).map_err(|detail| detail.within("dropout"))?;
        let [query, value, key] = self.inputs.places(inputs.len()).map(|at| &inputs[at]);
        let rank = query.rank();
        let sequence = |shape: &&Shape| shape.rank() == rank && shape.is_batch_first();
        if rank < 3 || ![query, value, key].iter().all(sequence) {
            let received = format!("query {query}, value {value}, key {key}");
            let expected =
                "query, value and key of shape (batch, steps, features), all with as many axes";
            return Err(Detail::new("", expected, received));
        }
        let axes = self.axes(rank)?;
        let between = |axis: &usize| (1..rank - 1).contains(axis);
        let fits = !axes.is_empty() && axes.iter().all(between);
        require(
            fits,
            "attention_axes",
            "axes between the batch and the features",
            format!("{:?}", self.attention_axes),
        )?;
        let banded = self.use_causal_mask || self.sliding_window.is_some();
        if banded && axes != [1] {
            let received = format!("axes {axes:?}");
            return Err(Detail::new(
                "attention_axes",
                "axis 1 with a causal mask or a window",
                received,
            ));
        }
        let same = |axis: usize| {
            let dims = [query, value, key].map(|shape| shape.dims()[axis]);
            dims[1] == dims[2] && (axes.contains(&axis) || dims[0] == dims[1])
        };
        if !(1..rank - 1).all(same) {
            let received = format!("query {query}, value {value}, key {key}");
            let expected =
                "value and key with the same steps, and the query with the same axes beside them";
            return Err(Detail::new("", expected, received));
        }
        Ok(())
    }

    fn wrapped(&self) -> Vec<(&'static str, LayerSpec)> {
        let projections = self.projections();
        let (keys, values) = (
            [self.num_heads, self.key_dim],
            [self.num_heads, self.values()],
        );
        // The features of the query are known when the layer is built.
        let output = self.output_shape.clone().unwrap_or_else(|| vec![1]);
        let part = |attribute, name, sizes: &[usize]| {
            (attribute, projections.layer(1, sizes, false).named(name))
        };
        let mut parts = vec![
            part("query_dense", "query", &keys),
            part("key_dense", "key", &keys),
        ];
        if self.use_gate {
            parts.push((
                "_gate_dense",
                projections.layer(1, &values, true).named("gate"),
            ));
        }
        parts.push(part("value_dense", "value", &values));
        parts.push((
            "output_dense",
            projections
                .layer(2, &output, false)
                .named("attention_output"),
        ));
        parts
    }

    fn wrapped_layer(&self, index: usize, inputs: &[Shape]) -> Option<Arc<dyn Layer>> {
        let [query, ..] = self.inputs.places(inputs.len());
        match (index == 3 + usize::from(self.use_gate), &self.output_shape) {
            (true, None) => {
                let features = inputs[query].dims().last()?.fixed()?;
                Some(Arc::new(self.projections().layer(2, &[features], false)))
            }
            _ => None,
        }
    }

    fn wrapped_inputs(&self, index: usize, inputs: &[Shape]) -> Vec<Shape> {
        let [query, value, key] = self
            .inputs
            .places(inputs.len())
            .map(|at| inputs[at].clone());
        // The gate, if there is one, is between key and value.
        let index = match index {
            2 if self.use_gate => return vec![query],
            index if self.use_gate && index > 2 => index - 1,
            index => index,
        };
        match index {
            0 => vec![query],
            1 => vec![key],
            2 => vec![value],
            _ => {
                let before = query.dims()[..query.rank() - 1].iter().copied();
                let heads = [self.num_heads, self.values()].map(Dim::Fixed);
                vec![before.chain(heads).collect()]
            }
        }
    }

    fn writes_wrapped(&self) -> bool {
        false
    }

    fn clears_masks(&self) -> bool {
        true
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        self.call_all(call, inputs).swap_remove(0)
    }

    fn call_all<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Vec<Var<'g>> {
        let rank = inputs[self.inputs.places(inputs.len())[0]].shape().rank();
        let heads = Heads {
            inputs: &self.inputs,
            axes: self.axes(rank).unwrap_or_default(),
            scale: 1.0 / (self.key_dim as f32).sqrt(),
            causal: self.use_causal_mask,
            window: self.sliding_window,
            dropout: self.dropout,
            seed: self.seed,
            scores: self.return_attention_scores,
        };
        heads.outputs(call, inputs, self.use_gate)
    }

    fn mask<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Option<Var<'g>> {
        call.mask(self.inputs.places(inputs.len())[0])
    }
}
