//! Samples as rows.

use regraft_autograd::{Dim, Shape, Var};
use regraft_tensor::Detail;

use super::spatial::DataFormat;
use super::support::single;
use crate::{Call, Flow, Layer, Weights};

settings! {
    /// Makes each sample one row: `(batch, …)` to `(batch, product of the sizes)`, the last axis fastest;
    /// `(batch,)` to `(batch, 1)`.
    ///
    /// It has no weights; being frozen changes nothing.
    /// Keras: <https://keras.io/api/layers/reshaping_layers/flatten/>.
    #[derive(Clone, Copy, Debug)]
    pub struct Flatten as "keras.layers.Flatten" {
        /// A layer for samples with the channels last.
        new()
        data_format: DataFormat = DataFormat::ChannelsLast,
    }
}

impl Flatten {
    /// Takes samples with the channels first and moves them last before flattening, as Keras does
    /// with `data_format="channels_first"`.
    #[must_use]
    pub fn channels_first(mut self) -> Self {
        self.data_format = DataFormat::ChannelsFirst;
        self
    }
}

impl Layer for Flatten {
    fn flow(&self) -> Flow {
        Flow::Flattens {
            channels_first: self.data_format.is_channels_first(),
        }
    }

    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        let input = single(inputs)?;
        match input.is_batch_first() {
            true => Ok(()),
            false => Err(Detail::new("", "an input (batch, …)", input)),
        }
    }

    fn takes_any_type(&self) -> bool {
        true
    }

    fn call<'g>(&self, _call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        let mut x = inputs[0];
        let rank = x.shape().rank();
        if self.data_format.is_channels_first() && rank > 2 {
            let axes: Vec<usize> = std::iter::once(0).chain(2..rank).chain([1]).collect();
            x = x.permute(&axes);
        }
        let size = x.shape().sample().unwrap_or_default().iter().product();
        x.reshape([x.shape().dims()[0], Dim::Fixed(size)])
    }
}
