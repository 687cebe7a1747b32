//! Vectors for the places of a sequence.

use regraft_autograd::{Dim, Shape, Var};
use regraft_tensor::Detail;

use crate::layers::support::{of_rank, single};
use crate::settings::require;
use crate::{Call, Initializer, Layer, Weights};

settings! {
    /// `y[i] = embeddings[first + i]`: a row of the table for each step of the input, the same for every sample.
    ///
    /// | | |
    /// |---|---|
    /// | input, output | `(batch, steps, features)`, the same; no more steps than the table has rows behind the first |
    /// | weights | `embeddings` `(sequence_length, features)`, Glorot uniform at first |
    /// | frozen | the table is a constant |
    ///
    /// The input's numbers do not count; the result is usually added to it.
    /// KerasHub: <https://keras.io/keras_hub/api/modeling_layers/position_embedding/>.
    #[derive(Clone, Debug)]
    pub struct PositionEmbedding as "keras_hub.layers.PositionEmbedding" {
        /// A table for sequences of at most so many steps.
        new(sequence_length: usize)
        sequence_length: usize = sequence_length,
        /// Where the table starts.
        initializer: Initializer = "glorot_uniform",
        /// The row of the first step: 2 in RoBERTa. KerasHub's class does not have it.
        first: usize = 0,
    }
    reading |settings, _it| {
        settings.unsupported(&["hierarchical_alpha", "is_hierarchical"])?;
    }
}

impl Layer for PositionEmbedding {
    fn build(&self, inputs: &[Shape], weights: &mut Weights) -> Result<(), Detail> {
        let input = of_rank(inputs, 3)?;
        let [_, Dim::Fixed(steps), Dim::Fixed(features)] = *input.dims() else {
            return Err(Detail::new(
                "",
                "an input (batch, steps, features)",
                single(inputs)?,
            ));
        };
        let rows = self.sequence_length.saturating_sub(self.first);
        require(steps <= rows, "", &format!("at most {rows} steps"), steps)?;
        weights.parameter(
            "embeddings",
            [self.sequence_length, features],
            &self.initializer,
        );
        Ok(())
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        let shape = inputs[0].shape();
        let steps = shape.dims()[1].size(1);
        let rows = call
            .weight("embeddings")
            .slice(0, self.first..self.first + steps);
        rows.expand_dims(0).broadcast_to(shape)
    }

    fn mask<'g>(&self, call: &Call<'g, '_>, _inputs: &[Var<'g>]) -> Option<Var<'g>> {
        call.mask(0)
    }
}
