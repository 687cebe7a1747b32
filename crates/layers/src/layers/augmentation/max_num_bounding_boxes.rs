//! A layer that is there for boxes beside images.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;

use super::common::BoxFormat;
use crate::layers::spatial::DataFormat;
use crate::layers::spatial::image;
use crate::{Call, Layer, Weights};

settings! {
    /// `y = x`. In Keras, boxes that go through the layer beside their images are cut off after `max_number`, or
    /// filled up; images stay as they are.
    ///
    /// Input and output are `(batch, rows, columns, channels)`; there are no weights, and being frozen changes
    /// nothing. Keras: `keras.layers.MaxNumBoundingBoxes`.
    #[derive(Clone, Debug)]
    pub struct MaxNumBoundingBoxes as "keras.layers.MaxNumBoundingBoxes" {
        /// A layer for this many boxes.
        new(max_number: usize)
        max_number: usize = max_number,
        data_format: DataFormat = DataFormat::ChannelsLast,
        bounding_box_format: BoxFormat = BoxFormat(None),
        seed: Option<u64> = None,
    }
    reading |settings, _it| {
        settings.ignore(&["rng_type"]);
    }
    writing |_it, config| {
        config.shift_remove("seed");
    }
}

impl Layer for MaxNumBoundingBoxes {
    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        image::<2>(inputs, self.data_format.is_channels_first()).map(|_| ())
    }

    fn call<'g>(&self, _call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        inputs[0]
    }
}
