//! Prediction: the model's output for samples.

use regraft_autograd::{Feed, Run};
use regraft_tensor::{Detail, Tensor};

use crate::training::input::{Data, IntoInputs};
use crate::training::prepare;
use crate::training::steps::{Purpose, Steps, chunk_size, tensor};
use crate::{Error, Model, Result};

impl Model {
    /// The model's output for samples `x`, one row per sample. A model of several inputs takes a tuple
    /// or a list of arrays, `predict((&images, &sizes))`, or arrays by the inputs' names.
    ///
    /// # Errors
    /// Data that do not fit the model, NaN or infinity among them; a model of several outputs.
    pub fn predict<'a>(&self, x: impl IntoInputs<'a>) -> Result<Tensor> {
        let mut outputs = self.predict_all(x)?;
        match (outputs.pop(), outputs.is_empty()) {
            (Some(output), true) => Ok(output),
            _ => {
                let received = format!("{} outputs", outputs.len() + 1);
                let detail = Detail::new(self.network.name(), "1 output", received);
                Err(Error::Model(detail.help("call `predict_all`")))
            }
        }
    }

    /// As [`predict`](Self::predict), of a model whose output is spelled by a
    /// [`StringLookup`](crate::layers::StringLookup) that goes from numbers to strings: one string for each
    /// element, in row-major order.
    ///
    /// # Errors
    /// As [`predict`](Self::predict), and a model whose output are numbers.
    pub fn predict_strings<'a>(&self, x: impl IntoInputs<'a>) -> Result<Vec<String>> {
        let model = &self.network;
        let Some(layer) = model.spelling_layer(0) else {
            let expected = "a last layer `StringLookup` with `invert`";
            return Err(Error::Model(Detail::new(
                model.name(),
                expected,
                "another one",
            )));
        };
        let numbers = self.predict(x)?;
        let spell = |&number: &f32| layer.spell(number as i32).unwrap_or_default();
        Ok(numbers.as_slice().iter().map(spell).collect())
    }

    /// As [`predict`](Self::predict), all outputs of the model in order.
    ///
    /// # Errors
    /// Data that do not fit the model, NaN or infinity among them.
    pub fn predict_all<'a>(&self, x: impl IntoInputs<'a>) -> Result<Vec<Tensor>> {
        let model = &self.network;
        let inputs = prepare::check_inputs("x", model, x.into_inputs()?)?;
        let mut steps = Steps::new(model, Purpose::Predict, false)?;
        let shapes = model.output_shapes();
        let samples = inputs.first().map_or(0, Data::len);
        let chunk = chunk_size(steps.rest(), samples);
        let program = steps.rest_mut();
        let mut predictions: Vec<Vec<f32>> = shapes
            .iter()
            .map(|shape| Vec::with_capacity(shape.len(samples)))
            .collect();
        let mut buffers = vec![Vec::new(); inputs.len()];
        let mut from = 0;
        while from < samples {
            let to = (from + chunk).min(samples);
            let inputs = inputs.iter().zip(&mut buffers);
            let feeds: Vec<Feed<'_>> = inputs
                .map(|(input, buffer)| input.feed(from, to, buffer))
                .collect();
            program.run(to - from, &feeds, model.weights(), Run::default())?;
            for (output, rows) in predictions.iter_mut().enumerate() {
                rows.extend_from_slice(program.output(output));
            }
            from = to;
        }
        let outputs = shapes.iter().zip(predictions);
        outputs
            .map(|(shape, rows)| tensor(shape, samples, rows))
            .collect()
    }
}
