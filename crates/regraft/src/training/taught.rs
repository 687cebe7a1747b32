//! What a teacher answered, and the loss of a student beside it.

use regraft_autograd::ops::Softmax;
use regraft_autograd::{DataType, Shape, Var};
use regraft_layers::losses::LossFunction;
use regraft_layers::{Configured, Loss};
use regraft_tensor::Detail;

/// What a teacher answers to each sample, and how much that counts.
#[derive(Clone, Debug)]
pub(crate) struct Taught {
    /// Logits, of one sample of the source after the other.
    pub values: Vec<f32>,
    /// The sizes of those of a sample.
    pub row: Vec<usize>,
    pub temperature: f32,
    pub alpha: f32,
}

impl Taught {
    /// How many numbers there are of a sample.
    pub fn width(&self) -> usize {
        self.row.iter().product()
    }

    /// `α · T² · KL + (1 − α) · loss`, of the teacher's answers, the student's, their weights and mask.
    pub fn loss<'g>(
        &self,
        loss: Var<'g>,
        (answers, output): (Var<'g>, Var<'g>),
        weights: Option<Var<'g>>,
        mask: Option<Var<'g>>,
    ) -> Var<'g> {
        let softened = LossFunction::new(Softened {
            temperature: self.temperature,
        });
        let scope = || softened.apply_masked(answers, output, weights, mask);
        let soft = output.graph().scope("distillation", scope);
        let scale = self.alpha * self.temperature * self.temperature;
        loss * (1.0 - self.alpha) + soft * scale
    }
}

/// KL(softmax(t / T), softmax(s / T)) over the last axis.
#[derive(Clone, Debug)]
struct Softened {
    temperature: f32,
}

impl Configured for Softened {}

impl Loss for Softened {
    fn targets(&self, predictions: &Shape) -> std::result::Result<(Shape, DataType), Detail> {
        Ok((predictions.clone(), DataType::F32))
    }

    fn call<'g>(&self, targets: Var<'g>, predictions: Var<'g>) -> Var<'g> {
        let below = predictions.operands_of::<Softmax>();
        let logits = match below.as_deref() {
            Some(&[logits]) => logits,
            _ => predictions,
        };
        let taught = (targets / self.temperature).log_softmax();
        let own = (logits / self.temperature).log_softmax();
        let last = own.shape().rank().saturating_sub(1);
        (taught.exp() * (taught - own)).sum(&[last])
    }
}
