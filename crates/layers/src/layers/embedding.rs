//! Vectors for token ids.

use regraft_autograd::{DataType, Shape, Var};
use regraft_tensor::Detail;

use super::support::{adapted_or_quantized, single};
use crate::settings::require;
use crate::{Call, Constraint, Flow, Initializer, Layer, Regularizer, WeightAxis, Weights};

settings! {
    /// `y[…] = embeddings[x[…]]`: the row of the table that each integer names.
    ///
    /// | | |
    /// |---|---|
    /// | input | `(batch, …)`, integers from 0 to below `input_dim`; others are an error when the model runs |
    /// | output | `(batch, …, output_dim)` |
    /// | weights | `embeddings` `(input_dim, output_dim)`, uniform in ±0.05 at first |
    /// | frozen | the table is a constant, without gradient |
    ///
    /// With [`mask_zero`](Self::mask_zero), 0 is padding: the output has a [mask](crate::Layer::mask).
    /// Keras: <https://keras.io/api/layers/core_layers/embedding/>.
    #[derive(Clone, Debug)]
    pub struct Embedding as "keras.layers.Embedding" {
        /// A table of `input_dim` rows of `output_dim` numbers.
        new(input_dim: usize, output_dim: usize)
        input_dim: usize = input_dim,
        output_dim: usize = output_dim,
        /// Where the table starts.
        embeddings_initializer: Initializer = "uniform",
        /// A penalty on the table.
        embeddings_regularizer: Option<Regularizer> = None,
        /// A penalty on the output.
        activity_regularizer: Option<Regularizer> = None,
        /// What holds for the table after each update.
        embeddings_constraint: Option<Constraint> = None,
        /// Says that 0 is padding: steps of it do not count in what follows, as far as layers look at masks
        /// (pooling over time, normalization in training, losses and metrics).
        mask_zero: bool = false,
    }
    reading |settings, _it| {
        // Keras 2 kept the length of a sequence here; the input's shape says it.
        settings.ignore(&["input_length"]);
        settings.unsupported(&["weights"])?;
        adapted_or_quantized(settings)?;
    }
}

impl Layer for Embedding {
    fn flow(&self) -> Flow {
        Flow::Makes
    }

    fn build(&self, inputs: &[Shape], weights: &mut Weights) -> Result<(), Detail> {
        single(inputs)?;
        require(
            self.input_dim > 0,
            "input_dim",
            "at least 1",
            self.input_dim,
        )?;
        require(
            self.output_dim > 0,
            "output_dim",
            "at least 1",
            self.output_dim,
        )?;
        let shape = [self.input_dim, self.output_dim];
        weights
            .parameter("embeddings", shape, &self.embeddings_initializer)
            .regularizer(&self.embeddings_regularizer)
            .constraint(&self.embeddings_constraint)
            .axes([WeightAxis::Entry, WeightAxis::Output]);
        Ok(())
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        let output = call.product(inputs[0], "embeddings", |ids, table| table.gather(ids));
        call.activity_penalty(&self.activity_regularizer, output);
        output
    }

    fn mask<'g>(&self, _call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Option<Var<'g>> {
        self.mask_zero.then(|| inputs[0].to_f32().not_equal(0.0))
    }

    fn input_type(&self) -> DataType {
        DataType::I32
    }
}
