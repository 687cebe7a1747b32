//! Cross-entropy of yes-or-no targets, element by element, from logits or probabilities.

use regraft_autograd::ops::{Binary, Map, Sigmoid, Zip};
use regraft_autograd::{Gradient, Var, attributes};
use regraft_tensor::kernels::math;

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

/// The cross-entropy of each prediction: from the logit if it is one, or is the sigmoid of one.
pub(super) fn crossentropy<'g>(
    targets: Var<'g>,
    predictions: Var<'g>,
    from_logits: bool,
) -> Var<'g> {
    let below = predictions.operands_of::<Map<Sigmoid>>();
    let logits = match below.as_deref() {
        Some(&[logits]) => Some(logits),
        _ => from_logits.then_some(predictions),
    };
    if let Some(logits) = logits {
        let graph = logits.graph();
        return graph.apply(Zip(SigmoidCrossEntropy), &[logits, targets]);
    }
    let p = clip_probability(predictions);
    -(targets * p.log() + (1.0 - targets) * (1.0 - p).log())
}
