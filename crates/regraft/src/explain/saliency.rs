//! Which elements of the input move the answer.

use regraft_autograd::Graph;
use regraft_tensor::{Detail, Tensor};

use super::answer::{Answer, Classes};
use crate::training::input::IntoInputs;
use crate::{Error, Model, Result};

/// For each sample the gradient of the score of `class` with respect to the input, in the input's shape: how
/// much the answer moves with each element (Simonyan et al. 2014; of a picture one looks at the largest
/// absolute value of a pixel's channels). The model is in inference. The class is one for all samples, or one
/// for each.
///
/// The score is the model's output at `class` of the last axis, summed over others; where the output is a
/// softmax, what goes into it, since classes compete in its gradient.
///
/// # Errors
/// Data that do not fit the model, a class that it does not have, several inputs or outputs, and an input that
/// no gradient reaches, such as integers.
pub fn saliency<'a, 'c>(
    model: &Model,
    x: impl IntoInputs<'a>,
    class: impl Into<Classes<'c>>,
) -> Result<Tensor> {
    let network = &model.network;
    let graph = Graph::new();
    let answer = Answer::of(network, &graph)?;
    let found = graph.gradients(answer.score, &[answer.input])?;
    let Some(gradient) = found.values[0] else {
        let expected = "an input that a gradient reaches";
        let received = format!("gradients stop at {}", found.stopped_at.join(", "));
        let detail = Detail::new(network.name(), expected, received);
        let help =
            "take the gradient of a value behind them: `value` and `gradient` in a `train_step`";
        return Err(Error::Model(detail.help(help)));
    };
    answer.compute(network, gradient, x, class.into())
}
