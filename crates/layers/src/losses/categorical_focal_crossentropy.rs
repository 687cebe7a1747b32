//! Cross-entropy of one-hot targets that counts hard samples more.

use regraft_autograd::ops::Softmax;
use regraft_autograd::{DataType, Dim, Shape, Tensor, Var};
use regraft_tensor::Detail;
use serde_json::{Map, Value};

use super::Link;
use super::define::{last, like, smooth_classes};
use crate::axis::{along, resolve};
use crate::formulas::clip_probability;
use crate::settings::{self, FromSettings, Settings};
use crate::{Configured, Loss};

/// −Σ `alpha` · (1 − p)^`gamma` · target · log p along `axis`, in [0, ∞), where p is the prediction
/// divided by the sum and kept within 10⁻⁷ and 1 − 10⁻⁷.
///
/// Lin and others 2017 (<https://arxiv.org/abs/1708.02002>).
///
/// Keras: <https://keras.io/api/losses/probabilistic_losses/#categoricalfocalcrossentropy-class>.
#[derive(Clone, Debug, PartialEq)]
pub struct CategoricalFocalCrossentropy {
    /// The weight of all classes, or of each; Keras' default is 0.25.
    pub alpha: Vec<f32>,
    /// How much less well-classified samples count; Keras' default is 2.
    pub gamma: f32,
    /// Whether predictions are logits; Keras' default is that they are probabilities.
    pub from_logits: bool,
    /// How much of each target is given to all classes alike, from 0 to 1; Keras' default is 0.
    pub label_smoothing: f32,
    /// The axis of the classes; Keras' default is the last, −1.
    pub axis: isize,
}

impl Default for CategoricalFocalCrossentropy {
    fn default() -> Self {
        CategoricalFocalCrossentropy {
            alpha: vec![0.25],
            gamma: 2.0,
            from_logits: false,
            label_smoothing: 0.0,
            axis: -1,
        }
    }
}

/// A number for each class, along `axis` of `x`.
fn per_class<'g>(x: Var<'g>, numbers: &[f32], axis: usize) -> Var<'g> {
    let mut shape = vec![1; x.shape().rank()];
    shape[axis] = numbers.len();
    let mut tensor = Tensor::zeros(shape);
    tensor.as_mut_slice().copy_from_slice(numbers);
    x.graph().constant(tensor)
}

impl Configured for CategoricalFocalCrossentropy {
    fn class_name(&self) -> &str {
        "CategoricalFocalCrossentropy"
    }

    fn module(&self) -> &str {
        "keras.losses"
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([
            ("from_logits".to_string(), self.from_logits.into()),
            (
                "label_smoothing".to_string(),
                settings::number(self.label_smoothing),
            ),
            ("axis".to_string(), self.axis.into()),
            ("alpha".to_string(), settings::numbers(&self.alpha)),
            ("gamma".to_string(), settings::number(self.gamma)),
        ])
    }

    fn check(&self) -> Result<(), Detail> {
        for &alpha in &self.alpha {
            settings::require_rate("CategoricalFocalCrossentropy.alpha", alpha)?;
        }
        settings::require_rate("CategoricalFocalCrossentropy.gamma", self.gamma)?;
        let smoothing = self.label_smoothing;
        settings::require_share("CategoricalFocalCrossentropy.label_smoothing", smoothing)
    }
}

impl FromSettings for CategoricalFocalCrossentropy {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        let default = CategoricalFocalCrossentropy::default();
        Ok(CategoricalFocalCrossentropy {
            alpha: settings.numbers("alpha")?.unwrap_or(default.alpha),
            gamma: settings.number("gamma", default.gamma)?,
            from_logits: settings.flag("from_logits", default.from_logits)?,
            label_smoothing: settings.number("label_smoothing", default.label_smoothing)?,
            axis: settings.axis("axis", default.axis)?,
        })
    }
}

impl Loss for CategoricalFocalCrossentropy {
    fn targets(&self, predictions: &Shape) -> Result<(Shape, DataType), Detail> {
        let axis = settings::resolve(&[self.axis], predictions.rank())?[0];
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
