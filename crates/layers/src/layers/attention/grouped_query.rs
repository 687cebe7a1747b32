//! Attention with several heads of queries for each head of keys and values.

use std::sync::Arc;

use regraft_autograd::{Dim, Shape, Var};
use regraft_tensor::Detail;

use super::argument::AttentionInputs;
use super::heads::{Heads, Projections};
use crate::layers::dropout::require_probability;
use crate::settings::require;
use crate::{Call, Constraint, Initializer, Layer, LayerExt, LayerSpec, Regularizer, Weights};

settings! {
    /// [`MultiHeadAttention`](crate::layers::MultiHeadAttention) in which `num_query_heads / num_key_value_heads` heads of
    /// queries in a row share one head of keys and values: fewer weights, and less to read.
    ///
    /// | | |
    /// |---|---|
    /// | inputs | query `(batch, queries, features)`, value, and key if it is another; see [`inputs`](Self::inputs) |
    /// | output | `(batch, queries, features)`; with [`return_attention_scores`](Self::return_attention_scores) also the weights `(batch, num_query_heads, queries, keys)` |
    /// | weights | `query`: `(features, num_query_heads, head_dim)`; `key`, `value`: `(features, num_key_value_heads, head_dim)`; `attention_output`: `(num_query_heads, head_dim, features)`; each with a kernel and a bias |
    /// | frozen | kernels and biases are constants; no dropout |
    ///
    /// Ainslie et al. 2023. Keras: <https://keras.io/api/layers/attention_layers/group_query_attention/>.
    #[derive(Clone, Debug)]
    pub struct GroupQueryAttention as "keras.layers.GroupQueryAttention" {
        /// Attention with heads of `head_dim` features.
        new(head_dim: usize, num_query_heads: usize, num_key_value_heads: usize)
        head_dim: usize = head_dim,
        num_query_heads: usize = num_query_heads,
        num_key_value_heads: usize = num_key_value_heads,
        /// Whether projections have biases.
        use_bias: bool = true,
        /// Whether the heads' results are multiplied with a sigmoid gate of the query.
        use_gate: bool = false,
        /// A query sees keys that are less than this away.
        sliding_window: Option<usize> = None,
        /// How likely each weight is dropped in training.
        dropout: f32 = 0.0,
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
        settings.ignore(&["flash_attention"]);
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

impl GroupQueryAttention {
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
}

impl Layer for GroupQueryAttention {
    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        self.inputs.check(inputs.len())?;
        let heads = (self.num_query_heads, self.num_key_value_heads);
        require(heads.1 > 0, "num_key_value_heads", "at least 1", heads.1)?;
        let whole = heads.0 > 0 && heads.0.is_multiple_of(heads.1);
        let expected = format!("a multiple of the {} heads of keys", heads.1);
        require(whole, "num_query_heads", &expected, heads.0)?;
        require(self.head_dim > 0, "head_dim", "at least 1", self.head_dim)?;
        require(
            self.sliding_window != Some(0),
            "sliding_window",
            "at least 1",
            0,
        )?;
        require_probability(self.dropout).map_err(|detail| detail.within("dropout"))?;
        let [query, value, key] = self.inputs.places(inputs.len()).map(|at| &inputs[at]);
        let sequence = |shape: &&Shape| shape.rank() == 3 && shape.is_batch_first();
        let sequences = [query, value, key].iter().all(sequence);
        if !sequences || value.dims()[1] != key.dims()[1] {
            let expected = "query, value and key of shape (batch, steps, features), value and key with the same steps";
            let received = format!("query {query}, value {value}, key {key}");
            return Err(Detail::new("", expected, received));
        }
        Ok(())
    }

    fn wrapped(&self) -> Vec<(&'static str, LayerSpec)> {
        let projections = self.projections();
        let queries = [self.num_query_heads, self.head_dim];
        let keys = [self.num_key_value_heads, self.head_dim];
        let part = |attribute, name, sizes: &[usize]| {
            (attribute, projections.layer(1, sizes, false).named(name))
        };
        let mut parts = vec![
            part("_query_dense", "query", &queries),
            part("_key_dense", "key", &keys),
        ];
        if self.use_gate {
            parts.push((
                "_gate_dense",
                projections.layer(1, &queries, true).named("gate"),
            ));
        }
        parts.push(part("_value_dense", "value", &keys));
        // The features of the query are known when the layer is built.
        parts.push((
            "_output_dense",
            projections.layer(2, &[1], false).named("attention_output"),
        ));
        parts
    }

    fn wrapped_layer(&self, index: usize, inputs: &[Shape]) -> Option<Arc<dyn Layer>> {
        let [query, ..] = self.inputs.places(inputs.len());
        if index != 3 + usize::from(self.use_gate) {
            return None;
        }
        let features = inputs[query].dims().last()?.fixed()?;
        Some(Arc::new(self.projections().layer(2, &[features], false)))
    }

    fn wrapped_inputs(&self, index: usize, inputs: &[Shape]) -> Vec<Shape> {
        let [query, value, key] = self
            .inputs
            .places(inputs.len())
            .map(|at| inputs[at].clone());
        match (index, self.use_gate) {
            (0, _) | (2, true) => vec![query],
            (1, _) => vec![key],
            (2, false) | (3, true) => vec![value],
            _ => {
                let before = query.dims()[..2].iter().copied();
                let heads = [self.num_query_heads, self.head_dim].map(Dim::Fixed);
                vec![before.chain(heads).collect()]
            }
        }
    }

    fn writes_wrapped(&self) -> bool {
        false
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        self.call_all(call, inputs).swap_remove(0)
    }

    fn call_all<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Vec<Var<'g>> {
        let heads = Heads {
            inputs: &self.inputs,
            axes: vec![1],
            scale: 1.0 / (self.head_dim as f32).sqrt(),
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
