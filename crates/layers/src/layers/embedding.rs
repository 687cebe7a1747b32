//! Vectors for token ids.

use regraft_autograd::{DataType, Shape, Var};
use regraft_tensor::Detail;
use serde_json::{Map, Value, json};

use super::support::{constraint, object, regularizer, single};
use crate::settings::{FromSettings, Settings, require};
use crate::{Call, Constraint, Flow, Initializer, Layer, Regularizer, WeightAxis, Weights};

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
pub struct Embedding {
    input_dim: usize,
    output_dim: usize,
    embeddings_initializer: Initializer,
    embeddings_regularizer: Option<Regularizer>,
    activity_regularizer: Option<Regularizer>,
    embeddings_constraint: Option<Constraint>,
    mask_zero: bool,
}

impl Embedding {
    /// A table of `input_dim` rows of `output_dim` numbers.
    pub fn new(input_dim: usize, output_dim: usize) -> Self {
        Embedding {
            input_dim,
            output_dim,
            embeddings_initializer: "uniform".into(),
            embeddings_regularizer: None,
            activity_regularizer: None,
            embeddings_constraint: None,
            mask_zero: false,
        }
    }

    /// Where the table starts.
    #[must_use]
    pub fn embeddings_initializer(mut self, initializer: impl Into<Initializer>) -> Self {
        self.embeddings_initializer = initializer.into();
        self
    }

    /// A penalty on the table.
    #[must_use]
    pub fn embeddings_regularizer(mut self, regularizer: impl Into<Regularizer>) -> Self {
        self.embeddings_regularizer = Some(regularizer.into());
        self
    }

    /// A penalty on the output.
    #[must_use]
    pub fn activity_regularizer(mut self, regularizer: impl Into<Regularizer>) -> Self {
        self.activity_regularizer = Some(regularizer.into());
        self
    }

    /// What holds for the table after each update.
    #[must_use]
    pub fn embeddings_constraint(mut self, constraint: impl Into<Constraint>) -> Self {
        self.embeddings_constraint = Some(constraint.into());
        self
    }

    /// Says that 0 is padding: steps of it do not count in what follows, as far as layers look at masks
    /// (pooling over time, normalization in training, losses and metrics).
    #[must_use]
    pub fn mask_zero(mut self, mask_zero: bool) -> Self {
        self.mask_zero = mask_zero;
        self
    }
}

impl Layer for Embedding {
    fn class_name(&self) -> &str {
        "Embedding"
    }

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
        let output = call.weight("embeddings").gather(inputs[0]);
        call.activity_penalty(&self.activity_regularizer, output);
        output
    }

    fn mask<'g>(&self, _call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Option<Var<'g>> {
        self.mask_zero.then(|| inputs[0].to_f32().not_equal(0.0))
    }

    fn input_type(&self) -> DataType {
        DataType::I32
    }

    fn config(&self) -> Map<String, Value> {
        object(json!({
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            "embeddings_initializer": self.embeddings_initializer.serialize(),
            "embeddings_regularizer": regularizer(&self.embeddings_regularizer),
            "activity_regularizer": regularizer(&self.activity_regularizer),
            "embeddings_constraint": constraint(&self.embeddings_constraint),
            "mask_zero": self.mask_zero,
        }))
    }
}

impl FromSettings for Embedding {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        // Keras 2 kept the length of a sequence here; the input's shape says it.
        settings.ignore(&["input_length"]);
        settings.unsupported(&["quantization_config", "weights"])?;
        // Files hold the sum of the weight and its update, or it is made on reading.
        settings.ignore(&["lora_rank", "lora_alpha"]);
        Ok(Embedding {
            input_dim: settings.size("input_dim")?,
            output_dim: settings.size("output_dim")?,
            embeddings_initializer: settings.initializer("embeddings_initializer", "uniform")?,
            embeddings_regularizer: settings.regularizer("embeddings_regularizer")?,
            activity_regularizer: settings.regularizer("activity_regularizer")?,
            embeddings_constraint: settings.constraint("embeddings_constraint")?,
            mask_zero: settings.flag("mask_zero", false)?,
        })
    }
}
