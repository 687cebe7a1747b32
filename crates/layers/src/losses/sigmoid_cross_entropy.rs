//! Cross-entropy of yes-or-no targets, element by element, from logits or probabilities.

use regraft_autograd::ops::{Binary, Map, Sigmoid, Zip};
use regraft_autograd::{Gradient, Var, attributes};
use regraft_tensor::kernels::math;

use super::Link;
use crate::formulas::clip_probability;

/// −(z · log σ(x) + (1 − z) · log(1 − σ(x))) for a logit x and a target z, without overflow:
/// max(x, 0) − x · z + log(1 + e^−|x|).
#[derive(Clone, Copy, Debug)]
struct SigmoidCrossEntropy;

impl Binary for SigmoidCrossEntropy {
    const NAME: &'static str = "sigmoid_cross_entropy";

    attributes!();

    #[inline(always)]
    fn value(self, x: f32, z: f32) -> f32 {
        math::relu(x) - x * z + math::softplus(-x.abs())
    }

    fn gradient<'g>(self, at: &Gradient<'g, '_>) -> [Option<Var<'g>>; 2] {
        let (x, z, dy) = (at.operand(0), at.operand(1), at.cotangent());
        [
            at.when(0, || dy * (x.sigmoid() - z)),
            at.when(1, || -dy * x),
        ]
    }
}

/// The logits of predictions that a sigmoid gave.
fn below_sigmoid(predictions: Var<'_>) -> Option<Var<'_>> {
    match predictions.operands_of::<Map<Sigmoid>>().as_deref() {
        Some(&[logits]) => Some(logits),
        _ => None,
    }
}

/// What makes probabilities of predictions that [`crossentropy`] takes for logits.
pub(super) fn link(predictions: Var<'_>, from_logits: bool) -> Option<Link> {
    let logits = from_logits && below_sigmoid(predictions).is_none();
    logits.then_some(Link::Sigmoid)
}

/// The cross-entropy of each prediction: from the logit if it is one, or is the sigmoid of one.
pub(crate) fn crossentropy<'g>(
    targets: Var<'g>,
    predictions: Var<'g>,
    from_logits: bool,
) -> Var<'g> {
    let logits = match below_sigmoid(predictions) {
        Some(logits) => Some(logits),
        None => from_logits.then_some(predictions),
    };
    if let Some(logits) = logits {
        let graph = logits.graph();
        return graph.apply(Zip(SigmoidCrossEntropy), &[logits, targets]);
    }
    let p = clip_probability(predictions);
    -(targets * p.log() + (1.0 - targets) * (1.0 - p).log())
}
