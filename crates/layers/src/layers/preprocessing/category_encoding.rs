//! Numbers of categories as rows of zeros and ones.

use regraft_autograd::{DataType, Shape, Var};
use regraft_tensor::Detail;
use serde_json::{Map, Value, json};

use super::encoding::OutputMode;
use crate::layers::object;
use crate::layers::spatial::require_cells;
use crate::layers::support::single;
use crate::settings::{FromSettings, Settings};
use crate::{Call, Layer, Weights};

/// Integers from 0 as rows of `num_tokens` numbers, in one of the forms of [`OutputMode`]. Others leave no
/// trace.
///
/// | | |
/// |---|---|
/// | input | `(batch, n)` integers |
/// | output | `(batch, num_tokens)`; `one_hot` of several: `(batch, n, num_tokens)` |
/// | weights | none; being frozen changes nothing |
/// | defaults | `multi_hot` |
///
/// Weights of the counts beside the input, which Keras takes, are not supported. Keras:
/// <https://keras.io/api/layers/preprocessing_layers/categorical/category_encoding/>.
#[derive(Clone, Debug)]
pub struct CategoryEncoding {
    num_tokens: usize,
    output_mode: OutputMode,
}

impl CategoryEncoding {
    /// A layer for this many categories.
    pub fn new(num_tokens: usize) -> Self {
        CategoryEncoding {
            num_tokens,
            output_mode: OutputMode::MultiHot,
        }
    }

    /// `"multi_hot"` unless told otherwise, `"one_hot"` or `"count"`.
    #[must_use]
    pub fn output_mode(mut self, mode: impl Into<OutputMode>) -> Self {
        self.output_mode = mode.into();
        self
    }
}

impl Layer for CategoryEncoding {
    fn class_name(&self) -> &str {
        "CategoryEncoding"
    }

    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        single(inputs)?;
        require_cells("num_tokens", 1, &[self.num_tokens])?;
        let allowed = [OutputMode::OneHot, OutputMode::MultiHot, OutputMode::Count];
        self.output_mode.check(&allowed)
    }

    fn call<'g>(&self, _call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        self.output_mode.encode(inputs[0], self.num_tokens)
    }

    fn input_type(&self) -> DataType {
        DataType::I32
    }

    fn config(&self) -> Map<String, Value> {
        object(json!({
            "num_tokens": self.num_tokens,
            "output_mode": self.output_mode.name(),
        }))
    }
}

impl FromSettings for CategoryEncoding {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        settings.unsupported(&["sparse"])?;
        Ok(CategoryEncoding {
            num_tokens: settings.size("num_tokens")?,
            output_mode: settings.output_mode("multi_hot")?,
        })
    }
}
