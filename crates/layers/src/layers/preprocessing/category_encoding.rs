//! Numbers of categories as rows of zeros and ones.

use regraft_autograd::{DataType, Shape, Var};
use regraft_tensor::Detail;

use super::encoding::OutputMode;
use crate::layers::spatial::require_cells;
use crate::layers::support::single;
use crate::{Call, Layer, Weights};

settings! {
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
    pub struct CategoryEncoding as "keras.layers.CategoryEncoding" {
        /// A layer for this many categories.
        new(num_tokens: usize)
        num_tokens: usize = num_tokens,
        /// `"multi_hot"` unless told otherwise, `"one_hot"` or `"count"`.
        output_mode: OutputMode = OutputMode::MultiHot,
    }
    reading |settings, _it| {
        settings.unsupported(&["sparse"])?;
    }
}

impl Layer for CategoryEncoding {
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
}
