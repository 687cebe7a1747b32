//! The circle loss.

use regraft_autograd::{DataType, Forward, Op, Output, Shape, Var, attributes};
use regraft_tensor::Detail;

use super::define::class_numbers;
use crate::Loss;
use crate::settings::{require_finite, require_rate};

settings! {
    /// log(1 + Σ exp(`gamma` · a₋ · (s₋ − m)) · Σ exp(−`gamma` · a₊ · (s₊ − 1 + m))) for each sample of
    /// a batch, in [0, ∞), where s₊ are its cosine similarities with the batch's other samples of the
    /// same class, s₋ with those of other classes, m the `margin`, and the weights a₊ = max(1 + m − s₊,
    /// 0), a₋ = max(s₋ + m, 0). Predictions are embeddings `(batch, size)` of length 1, targets class
    /// numbers. A sample that no other, or every other, has the class of has loss 0;
    /// the mean is over samples with a loss above 0.
    ///
    /// Sun and others 2020 (<https://arxiv.org/abs/2002.10857>).
    ///
    /// Keras: <https://keras.io/api/losses/metric_losses/#circle-class>.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct Circle as "keras.losses.Circle" {
        /// The scale of similarities; Keras' default is 80.
        pub gamma: f32 = 80.0 => require_rate,
        /// How far from 1 and 0 similarities may be; Keras' default is 0.4.
        pub margin: f32 = 0.4 => require_finite,
        /// Whether a sample is left out of its own class; it is by default.
        pub remove_diagonal: bool = true,
    }
}

/// log Σ exp(x) over the columns where `mask` is 1, and whether there are any; 0 where there are
/// none.
fn log_sum_exp_where<'g>(mask: Var<'g>, x: Var<'g>) -> (Var<'g>, Var<'g>) {
    let any = mask.max(&[1]);
    let largest = mask.select(x, f32::NEG_INFINITY).max(&[1]);
    // Without gradient: subtracting and adding it changes nothing but the rounding.
    let largest = any.select(largest, 0.0).stop_gradient();
    // Twice, so that what is masked neither overflows nor counts.
    let shifted = mask.select(x - largest.expand_dims(1), 0.0);
    let sum = (shifted.exp() * mask).sum(&[1]);
    let logarithm = any.select(sum, 1.0).log() + largest;
    (logarithm, any)
}

/// 1 where row and column are the same sample, else 0: of anything `(batch,)`, a matrix
/// `(batch, batch)`.
#[derive(Clone, Copy, Debug)]
struct Diagonal;

impl Op for Diagonal {
    attributes!();

    fn name(&self) -> &str {
        "diagonal"
    }

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        match operands[0].dims() {
            &[samples] => Ok(Shape::from([samples, samples])),
            _ => Err(Detail::new("", "one number per sample", operands[0])),
        }
    }

    fn operand_type(&self, _index: usize) -> DataType {
        DataType::I32
    }

    fn forward(&self, _operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        let samples = output.shape[0];
        for (index, value) in output.f32().iter_mut().enumerate() {
            *value = if index / samples == index % samples {
                1.0
            } else {
                0.0
            };
        }
        Ok(())
    }
}

impl Loss for Circle {
    fn targets(&self, predictions: &Shape) -> Result<(Shape, DataType), Detail> {
        match predictions.rank() {
            2 => class_numbers(predictions),
            _ => Err(Detail::new("", "predictions (batch, size)", predictions)),
        }
    }

    fn call<'g>(&self, targets: Var<'g>, predictions: Var<'g>) -> Var<'g> {
        let graph = predictions.graph();
        let vectors = predictions.expand_dims(0);
        let cosines = vectors.batch_matmul(vectors, false, true).squeeze(0);
        let distances = (1.0 - cosines).maximum(0.0);
        let classes = targets.to_f32();
        let same = classes.expand_dims(1).equal(classes.expand_dims(0));
        let different = 1.0 - same;
        let same = match self.remove_diagonal {
            true => same - graph.apply(Diagonal, &[targets]),
            false => same,
        };
        let away = (distances + self.margin).maximum(0.0) * (self.margin - distances);
        let close = (1.0 + self.margin - distances).maximum(0.0) * (1.0 - self.margin - distances);
        let (pull, has_same) = log_sum_exp_where(same, away * -self.gamma);
        let (push, has_different) = log_sum_exp_where(different, close * self.gamma);
        (has_same * has_different).select((pull + push).softplus(), 0.0)
    }

    fn mask<'g>(&self, _targets: Var<'g>, values: Var<'g>) -> Option<Var<'g>> {
        Some(values.step())
    }
}
