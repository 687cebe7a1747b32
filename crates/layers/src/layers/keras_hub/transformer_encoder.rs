//! A block of a transformer's encoder.

use std::sync::Arc;

use regraft_autograd::{Dim, Shape, Var};
use regraft_tensor::Detail;

use crate::layers::dropout::{drop, require_probability};
use crate::layers::support::of_rank;
use crate::layers::{Dense, LayerNormalization, MultiHeadAttention};
use crate::settings::require;
use crate::{Activation, Call, Initializer, Layer, LayerExt, LayerSpec, Weights};

settings! {
    /// `x ← norm(x + attention(x))`, then `norm(x + output(activation(intermediate(x))))`; with `normalize_first` the
    /// norms are in front of attention and of the dense layers.
    ///
    /// | | |
    /// |---|---|
    /// | input, output | `(batch, steps, features)`, the same; at least as many features as heads |
    /// | weights | those of `self_attention_layer` ([`MultiHeadAttention`]), `self_attention_layer_norm`, `feedforward_layer_norm`, `feedforward_intermediate_dense`, `feedforward_output_dense`, which are layers of the model |
    /// | defaults | ReLU, no dropout, norms behind, epsilon 10⁻⁵ |
    /// | frozen | all are constants; no dropout |
    ///
    /// The input's mask hides steps. KerasHub: <https://keras.io/keras_hub/api/modeling_layers/transformer_encoder/>.
    #[derive(Clone, Debug)]
    pub struct TransformerEncoder as "keras_hub.layers.TransformerEncoder" {
        /// A block with so many features between its dense layers.
        new(intermediate_dim: usize, num_heads: usize)
        intermediate_dim: usize = intermediate_dim,
        num_heads: usize = num_heads,
        /// How likely weights of attention and results of both parts are dropped in training.
        dropout: f32 = 0.0,
        /// What is applied between the dense layers.
        activation: Activation = "relu",
        /// What norms add to variances.
        layer_norm_epsilon: f32 = 1e-5,
        /// Where kernels start.
        kernel_initializer: Initializer = "glorot_uniform",
        /// Where biases start.
        bias_initializer: Initializer = "zeros",
        /// Whether norms come first.
        normalize_first: bool = false,
    }
}

/// The layers that it contains, by their places.
const ATTENTION: usize = 0;
const ATTENTION_NORM: usize = 1;
const FEEDFORWARD_NORM: usize = 2;
const INTERMEDIATE: usize = 3;
const OUTPUT: usize = 4;

impl TransformerEncoder {
    fn attention(&self, features: usize) -> MultiHeadAttention {
        MultiHeadAttention::new(self.num_heads, features / self.num_heads.max(1))
            .dropout(self.dropout)
            .kernel_initializer(self.kernel_initializer.clone())
            .bias_initializer(self.bias_initializer.clone())
    }

    fn dense(&self, units: usize) -> Dense {
        Dense::new(units)
            .kernel_initializer(self.kernel_initializer.clone())
            .bias_initializer(self.bias_initializer.clone())
    }

    fn features(input: &Shape) -> usize {
        input.dims().last().map_or(1, |dim| dim.size(1))
    }
}

impl Layer for TransformerEncoder {
    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        let input = of_rank(inputs, 3)?;
        self.activation.get()?;
        require(
            self.num_heads > 0,
            "num_heads",
            "at least 1",
            self.num_heads,
        )?;
        require_probability(self.dropout).map_err(|detail| detail.within("dropout"))?;
        let enough = Self::features(input) >= self.num_heads;
        require(enough, "num_heads", "no more than features", self.num_heads)
    }

    fn wrapped(&self) -> Vec<(&'static str, LayerSpec)> {
        let norm = || LayerNormalization::new().epsilon(self.layer_norm_epsilon);
        let intermediate = self
            .dense(self.intermediate_dim)
            .activation(self.activation.clone());
        // The features of the input are known when the layer is built.
        vec![
            (
                "_self_attention_layer",
                self.attention(self.num_heads).named("self_attention_layer"),
            ),
            (
                "_self_attention_layer_norm",
                norm().named("self_attention_layer_norm"),
            ),
            (
                "_feedforward_layer_norm",
                norm().named("feedforward_layer_norm"),
            ),
            (
                "_feedforward_intermediate_dense",
                intermediate.named("feedforward_intermediate_dense"),
            ),
            (
                "_feedforward_output_dense",
                self.dense(1).named("feedforward_output_dense"),
            ),
        ]
    }

    fn wrapped_layer(&self, index: usize, inputs: &[Shape]) -> Option<Arc<dyn Layer>> {
        let features = Self::features(&inputs[0]);
        match index {
            ATTENTION => Some(Arc::new(self.attention(features))),
            OUTPUT => Some(Arc::new(self.dense(features))),
            _ => None,
        }
    }

    fn wrapped_inputs(&self, index: usize, inputs: &[Shape]) -> Vec<Shape> {
        let input = inputs[0].clone();
        match index {
            ATTENTION => vec![input.clone(), input],
            OUTPUT => {
                let before = input.dims()[..2].iter().copied();
                vec![before.chain([Dim::Fixed(self.intermediate_dim)]).collect()]
            }
            _ => vec![input],
        }
    }

    fn writes_wrapped(&self) -> bool {
        false
    }

    fn clears_masks(&self) -> bool {
        !self.normalize_first
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        let part = |index: usize, x: Var<'g>| call.wrapped(index, &[x], &[]).unwrap_or(x);
        let before = |index: usize, x: Var<'g>| {
            if self.normalize_first {
                part(index, x)
            } else {
                x
            }
        };
        let after = |index: usize, x: Var<'g>| {
            if self.normalize_first {
                x
            } else {
                part(index, x)
            }
        };
        let dropped = |x: Var<'g>| drop(call, x, x.shape(), self.dropout, None);
        let (x, mask) = (inputs[0], call.mask(0));
        let looks = before(ATTENTION_NORM, x);
        let seen = call.wrapped(ATTENTION, &[looks, looks], &[mask, mask]);
        let x = after(ATTENTION_NORM, dropped(seen.unwrap_or(x)) + x);
        let wide = part(INTERMEDIATE, before(FEEDFORWARD_NORM, x));
        after(FEEDFORWARD_NORM, dropped(part(OUTPUT, wide)) + x)
    }

    fn mask<'g>(&self, call: &Call<'g, '_>, _inputs: &[Var<'g>]) -> Option<Var<'g>> {
        call.mask(0)
    }
}
