//! Cross-entropy of one-hot targets that counts hard samples more.

use regraft_autograd::ops::Softmax;
use regraft_autograd::{DataType, Dim, Shape, Tensor, Var};
use regraft_tensor::Detail;

use super::Link;
use super::define::{last, like, smooth_classes};
use crate::contract::axis::{along, resolve};
use crate::formulas::clip_probability;
use crate::settings::{require_rate, require_share};
use crate::{Configured, Loss};

settings! {
    /// −Σ `alpha` · (1 − p)^`gamma` · target · log p along `axis`, in [0, ∞), where p is the prediction
    /// divided by the sum and kept within 10⁻⁷ and 1 − 10⁻⁷.
    ///
    /// Lin and others 2017 (<https://arxiv.org/abs/1708.02002>).
    ///
    /// Keras: <https://keras.io/api/losses/probabilistic_losses/#categoricalfocalcrossentropy-class>.
    #[derive(Clone, Debug, PartialEq)]
    pub struct CategoricalFocalCrossentropy as "keras.losses.CategoricalFocalCrossentropy" {
        /// Whether predictions are logits; Keras' default is that they are probabilities.
        pub from_logits: bool = false,
        /// How much of each target is given to all classes alike, from 0 to 1; Keras' default is 0.
        pub label_smoothing: f32 = 0.0 => require_share,
        /// The axis of the classes; Keras' default is the last, −1.
        pub axis: isize = -1,
        /// The weight of all classes, or of each; Keras' default is 0.25.
        pub alpha: Vec<f32> = [0.25] => require_rates,
        /// How much less well-classified samples count; Keras' default is 2.
        pub gamma: f32 = 2.0 => require_rate,
    }
}

/// An error unless all numbers are finite and not negative.
fn require_rates(at: &str, values: Vec<f32>) -> Result<(), Detail> {
    values
        .into_iter()
        .try_for_each(|value| require_rate(at, value))
}

/// A number for each class, along `axis` of `x`.
fn per_class<'g>(x: Var<'g>, numbers: &[f32], axis: usize) -> Var<'g> {
    let mut shape = vec![1; x.shape().rank()];
    shape[axis] = numbers.len();
    let mut tensor = Tensor::zeros(shape);
    tensor.as_mut_slice().copy_from_slice(numbers);
    x.graph().constant(tensor)
}

impl Loss for CategoricalFocalCrossentropy {
    fn targets(&self, predictions: &Shape) -> Result<(Shape, DataType), Detail> {
        let axis = crate::settings::resolve(&[self.axis], predictions.rank())?[0];
        let classes = predictions.dims()[axis];
        if self.alpha.len() != 1 && classes != Dim::Fixed(self.alpha.len()) {
            let expected = format!("one alpha, or one for each of {classes} classes");
            return Err(Detail::new("alpha", expected, self.alpha.len()));
        }
        like(predictions)
    }

    fn call<'g>(&self, targets: Var<'g>, predictions: Var<'g>) -> Var<'g> {
        let Some(axis) = resolve("CategoricalFocalCrossentropy", predictions, self.axis) else {
            return predictions;
        };
        let targets = smooth_classes(targets, self.label_smoothing, axis);
        let p = match self.from_logits {
            true => along(self.class_name(), predictions, self.axis, Var::softmax),
            false => predictions,
        };
        let p = clip_probability(p / p.sum_keeping(&[axis]));
        let loss = (1.0 - p).powf(self.gamma) * targets * p.log();
        let weighted = match self.alpha.as_slice() {
            [alpha] => loss * *alpha,
            alpha => loss * per_class(loss, alpha, axis),
        };
        -weighted.sum(&[axis])
    }

    fn link(&self, predictions: Var<'_>) -> Option<Link> {
        let classes_last =
            resolve(self.class_name(), predictions, self.axis) == Some(last(predictions));
        let given = predictions.operands_of::<Softmax>().is_some();
        (self.from_logits && classes_last && !given).then_some(Link::Softmax)
    }
}
