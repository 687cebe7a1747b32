//! Scaling and shifting inputs.

use regraft_autograd::{Shape, Var};
use regraft_tensor::Detail;

use super::support::{row, single};
use crate::settings::require;
use crate::{Call, Flow, Layer, Weights};

settings! {
    /// `y = x · scale + offset`: `Rescaling::new(1.0 / 255.0)` brings pixels to 0..1,
    /// `Rescaling::new(1.0 / 127.5).offset(-1.0)` to −1..1.
    ///
    /// Input and output have the same shape, any. Scale and offset are one number, or one for each index
    /// of the last axis. There are no weights; being frozen changes nothing.
    /// Keras: <https://keras.io/api/layers/preprocessing_layers/image_preprocessing/rescaling/>.
    #[derive(Clone, Debug)]
    pub struct Rescaling as "keras.layers.Rescaling" {
        /// A layer that multiplies by `scale`: one number, or one for each index of the last axis.
        new(scale: Vec<f32> = 1.0)
        scale: Vec<f32> = scale,
        /// What is added: one number, or one for each index of the last axis; 0 unless told otherwise.
        offset: Vec<f32> = 0.0,
    }
}

impl Rescaling {
    /// A layer that multiplies index `i` of the last axis by `scale[i]`.
    pub fn per_channel(scale: impl Into<Vec<f32>>) -> Self {
        Self::new(scale.into())
    }

    /// What is added after scaling at each index of the last axis.
    #[must_use]
    pub fn offset_per_channel(self, offset: impl Into<Vec<f32>>) -> Self {
        self.offset(offset.into())
    }
}

impl Layer for Rescaling {
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
        // Keras 2 drops it here.
        call.mask(0).filter(|_| !call.as_keras2())
    }
}
