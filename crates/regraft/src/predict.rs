//! Prediction: the model's output for samples.

use regraft_autograd::{Feed, Program, Run};
use regraft_tensor::Tensor;

use crate::Result;
use crate::input::{Data, IntoInputs};
use crate::prepare;
use crate::steps::{Purpose, Steps, chunk_size, tensor};
use crate::trainable::{Network, Trainable};

impl<N: Network> Trainable<N> {
    /// The model's output for samples `x`, one row per sample.
    ///
    /// # Errors
    /// Data that do not fit the model, NaN or infinity among them.
    pub fn predict<'a>(&self, x: impl IntoInputs<'a>) -> Result<Tensor> {
        let model = self.network.model();
        let inputs = prepare::check_inputs("x", model, x.into_inputs()?)?;
        let mut steps = Steps::new(model, Purpose::Predict, false)?;
        let shape = model.output_shapes().pop().unwrap_or_default();
        let samples = inputs.first().map_or(0, Data::len);
        let program: &mut Program = steps.rest_mut();
        let chunk = chunk_size(program, samples);
        let mut predictions = Vec::with_capacity(shape.len(samples));
        let mut from = 0;
        while from < samples {
            let to = (from + chunk).min(samples);
            let feeds: Vec<Feed<'_>> = inputs.iter().map(|input| input.feed(from, to)).collect();
            program.run(to - from, &feeds, model.weights(), Run::default())?;
            predictions.extend_from_slice(program.output(0));
            from = to;
        }
        tensor(&shape, samples, predictions)
    }
}
