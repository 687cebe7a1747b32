//! Scaling and shifting inputs.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;
use serde_json::{Map, Value, json};

use super::support::{object, row, single};
use crate::settings::{FromSettings, Settings, number, require};
use crate::{Call, Flow, Layer, Weights};

/// `y = x · scale + offset`: `Rescaling::new(1.0 / 255.0)` brings pixels to 0..1,
/// `Rescaling::new(1.0 / 127.5).offset(-1.0)` to −1..1.
///
/// Input and output have the same shape, any. Scale and offset are one number, or one for each index
/// of the last axis. There are no weights; being frozen changes nothing.
/// Keras: <https://keras.io/api/layers/preprocessing_layers/image_preprocessing/rescaling/>.
#[derive(Clone, Debug)]
pub struct Rescaling {
    scale: Vec<f32>,
    offset: Vec<f32>,
}

impl Rescaling {
    /// A layer that multiplies by `scale`.
    pub fn new(scale: f32) -> Self {
        Self::per_channel([scale])
    }

    /// A layer that multiplies index `i` of the last axis by `scale[i]`.
    pub fn per_channel(scale: impl Into<Vec<f32>>) -> Self {
        Rescaling {
            scale: scale.into(),
            offset: vec![0.0],
        }
    }

    /// What is added after scaling; 0 unless told otherwise.
    #[must_use]
    pub fn offset(self, offset: f32) -> Self {
        self.offset_per_channel([offset])
    }

    /// What is added after scaling at each index of the last axis.
    #[must_use]
    pub fn offset_per_channel(mut self, offset: impl Into<Vec<f32>>) -> Self {
        self.offset = offset.into();
        self
    }
}

impl Layer for Rescaling {
    fn class_name(&self) -> &str {
        "Rescaling"
    }

    fn flow(&self) -> Flow {
        Flow::Keeps
    }

    fn build(&self, inputs: &[Shape], _weights: &mut Weights) -> Result<(), Detail> {
        let input = single(inputs)?;
        for (name, numbers) in [("scale", &self.scale), ("offset", &self.offset)] {
            let finite = numbers.iter().all(|number| number.is_finite());
            require(finite, name, "finite numbers", numbers)?;
            let fits = numbers.len() == 1
                || Shape::from([numbers.len()]).broadcast(input).as_ref() == Some(input);
            let expected = format!("one number, or one per index of the last axis of {input}");
            require(fits, name, &expected, numbers)?;
        }
        Ok(())
    }

    fn call<'g>(&self, call: &Call<'g, '_>, inputs: &[Var<'g>]) -> Var<'g> {
        let values = |numbers: &[f32]| match numbers {
            [number] => call.graph().number(*number),
            numbers => call.graph().constant(row(numbers)),
        };
        let scaled = inputs[0] * values(&self.scale);
        match self.offset.iter().all(|&offset| offset == 0.0) {
            true => scaled,
            false => scaled + values(&self.offset),
        }
    }

    fn mask<'g>(&self, call: &Call<'g, '_>, _inputs: &[Var<'g>]) -> Option<Var<'g>> {
        call.mask(0)
    }

    fn config(&self) -> Map<String, Value> {
        let values = |numbers: &[f32]| match numbers {
            [one] => number(*one),
            numbers => numbers.iter().copied().map(number).collect(),
        };
        object(json!({ "scale": values(&self.scale), "offset": values(&self.offset) }))
    }
}

impl FromSettings for Rescaling {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        Ok(Rescaling {
            scale: settings.numbers("scale")?.unwrap_or_else(|| vec![1.0]),
            offset: settings.numbers("offset")?.unwrap_or_else(|| vec![0.0]),
        })
    }
}
