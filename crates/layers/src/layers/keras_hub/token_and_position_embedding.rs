//! Vectors for token ids and for their places.

use regraft_autograd::{DataType, Dim, Shape, Var};
use regraft_tensor::Detail;

use super::PositionEmbedding;
use crate::layers::Embedding;
use crate::layers::support::of_rank;
use crate::settings::require;
use crate::{Call, Initializer, Layer, LayerExt, LayerSpec, Weights};

settings! {
    /// `y[i] = token_embedding[x[i]] + position_embedding[i]`.
    ///
    /// | | |
    /// |---|---|
    /// | input | `(batch, steps)`, integers |
    /// | output | `(batch, steps, embedding_dim)`, with a mask if 0 is padding |
    /// | weights | `token_embedding/embeddings` `(vocabulary_size, embedding_dim)`, `position_embedding/embeddings` `(sequence_length, embedding_dim)` |
    /// | frozen | both tables are constants |
    ///
    /// KerasHub: <https://keras.io/keras_hub/api/modeling_layers/token_and_position_embedding/>.
    #[derive(Clone, Debug)]
    pub struct TokenAndPositionEmbedding as "keras_hub.layers.TokenAndPositionEmbedding" {
        /// Tables for so many tokens and so many places.
        new(vocabulary_size: usize, sequence_length: usize, embedding_dim: usize)
        vocabulary_size: usize = vocabulary_size,
        sequence_length: usize = sequence_length,
        embedding_dim: usize = embedding_dim,
        /// Where both tables start.
        embeddings_initializer: Initializer = "uniform",
        /// Whether KerasHub's table would also be used backwards, from features to tokens; a second table for that is
        /// not read here.
        tie_weights: bool = true,
        /// Says that 0 is padding.
        mask_zero: bool = false,
    }
}

impl Layer for TokenAndPositionEmbedding {
    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        of_rank(inputs, 2)?;
        require(self.tie_weights, "tie_weights", "true", false)
    }

    fn wrapped(&self) -> Vec<(&'static str, LayerSpec)> {
        let tokens = Embedding::new(self.vocabulary_size, self.embedding_dim)
            .embeddings_initializer(self.embeddings_initializer.clone())
            .mask_zero(self.mask_zero);
        let places = PositionEmbedding::new(self.sequence_length)
            .initializer(self.embeddings_initializer.clone());
        vec![
            ("token_embedding", tokens.named("token_embedding")),
            ("position_embedding", places.named("position_embedding")),
        ]
    }

    fn wrapped_inputs(&self, index: usize, inputs: &[Shape]) -> Vec<Shape> {
        match index {
            0 => inputs.to_vec(),
            _ => {
                let features = [Dim::Fixed(self.embedding_dim)];
                let dims = inputs[0].dims().iter().copied().chain(features);
                vec![dims.collect()]
            }
        }
    }

    fn writes_wrapped(&self) -> bool {
        false
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        let tokens = call.wrapped(0, inputs, &[]).unwrap_or(inputs[0]);
        let places = call.wrapped(1, &[tokens], &[]).unwrap_or(tokens);
        tokens + places
    }

    fn mask<'g>(&self, _call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Option<Var<'g>> {
        self.mask_zero.then(|| inputs[0].to_f32().not_equal(0.0))
    }

    fn input_type(&self) -> DataType {
        DataType::I32
    }
}
