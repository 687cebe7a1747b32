//! Why a model answers as it does.

use regraft_autograd::ops::Softmax;
use regraft_autograd::{Feed, Graph, Program, Run};
use regraft_layers::Mode;
use regraft_tensor::{Detail, Tensor};

use crate::training::input::{Data, IntoInputs};
use crate::training::inputs::Inputs;
use crate::training::steps::{chunk_size, tensor};
use crate::{Error, Model, Result};

/// For each sample the gradient of the score of `class` with respect to the input, in the input's shape: how
/// much the answer moves with each element (Simonyan et al. 2014; of a picture one looks at the largest
/// absolute value of a pixel's channels). The model is in inference.
///
/// The score is the model's output at `class` of the last axis, summed over others; where the output is a
/// softmax, what goes into it, since classes compete in its gradient.
///
/// # Errors
/// Data that do not fit the model, a class that it does not have, several inputs or outputs, and an input that
/// no gradient reaches, such as integers.
pub fn saliency<'a>(model: &Model, x: impl IntoInputs<'a>, class: usize) -> Result<Tensor> {
    let network = &model.network;
    let takes = Inputs::of(network)?;
    let inputs = takes.check("x", x.into_inputs()?)?;
    let graph = Graph::new();
    let vars = takes.in_graph(&graph);
    let (outputs, _) = network.emit(&graph, &vars, Mode::Constant)?;
    let ([input], [var], [output]) = (inputs.as_slice(), vars.as_slice(), outputs.as_slice())
    else {
        let received = format!("{} and {}", vars.len(), outputs.len());
        let detail = Detail::new(network.name(), "1 input and 1 output", received);
        return Err(Error::Model(
            detail.help("cut the model, or use `train_step`'s `gradient`"),
        ));
    };
    let scores = match output.operands_of::<Softmax>().as_deref() {
        Some(&[logits]) => logits,
        _ => *output,
    };
    let shape = scores.shape();
    let classes = shape.dims().last().map_or(0, |dim| dim.size(1));
    if class >= classes {
        let expected = format!("a class in 0..{classes}");
        let detail = Detail::new("class", expected, class);
        return Err(Error::Setting(detail.help("classes count from 0")));
    }
    let score = scores.slice(shape.rank() - 1, class..class + 1).sum_all();
    let found = graph.gradients(score, &[*var])?;
    let Some(gradient) = found.values[0] else {
        let expected = "an input that a gradient reaches";
        let received = format!("gradients stop at {}", found.stopped_at.join(", "));
        let detail = Detail::new(network.name(), expected, received);
        let help =
            "take the gradient of a value behind them: `value` and `gradient` in a `train_step`";
        return Err(Error::Model(detail.help(help)));
    };
    let mut program = Program::compile(&graph, &[gradient])?.workspace();
    let samples = input.len();
    let chunk = chunk_size(program.program(), samples);
    let mut rows = Vec::with_capacity(samples * input.row());
    let mut buffer = Vec::new();
    for from in (0..samples).step_by(chunk) {
        let to = (from + chunk).min(samples);
        let feeds: [Feed<'_>; 1] = [Data::feed(input, from, to, &mut buffer)];
        program.run(to - from, &feeds, network.weights(), Run::default())?;
        rows.extend_from_slice(program.output(0));
    }
    tensor(&var.shape(), samples, rows)
}
