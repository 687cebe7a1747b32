//! A layer that is there for boxes beside images.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;
use serde_json::json;

use super::common::Common;
use crate::layers::object;
use crate::layers::spatial::image;
use crate::settings::{FromSettings, Map, Settings};
use crate::{Call, Class, Configured, Layer, Weights};

/// `y = x`. In Keras, boxes that go through the layer beside their images are cut off after `max_number`, or
/// filled up; images stay as they are.
///
/// Input and output are `(batch, rows, columns, channels)`; there are no weights, and being frozen changes
/// nothing. Keras: `keras.layers.MaxNumBoundingBoxes`.
#[derive(Clone, Debug)]
pub struct MaxNumBoundingBoxes {
    max_number: usize,
    common: Common,
}

impl MaxNumBoundingBoxes {
    /// A layer for this many boxes.
    pub fn new(max_number: usize) -> Self {
        MaxNumBoundingBoxes {
            max_number,
            common: Common::default(),
        }
    }
}

impl Configured for MaxNumBoundingBoxes {
    fn class(&self) -> Class<'_> {
        Class::new("keras.layers.MaxNumBoundingBoxes")
    }

    fn config(&self) -> Map {
        let mut config = object(json!({ "max_number": self.max_number }));
        self.common.write(&mut config);
        config
    }
}

impl Layer for MaxNumBoundingBoxes {
    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        image::<2>(inputs, self.common.channels_first).map(|_| ())
    }

    fn call<'g>(&self, _call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        inputs[0]
    }
}

impl FromSettings for MaxNumBoundingBoxes {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        Ok(MaxNumBoundingBoxes {
            max_number: settings.size("max_number")?,
            common: Common::from_settings(settings)?,
        })
    }
}
