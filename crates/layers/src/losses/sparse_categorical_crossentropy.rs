//! Cross-entropy with integer classes.

use regraft_autograd::ops::Softmax;
use regraft_autograd::{DataType, Forward, Op, Output, Shape, Var, attributes};
use regraft_tensor::Detail;
use serde_json::{Map, Value, json};

use super::Link;
use super::define::{class_numbers, last};
use crate::formulas::clip_probability;
use crate::settings::{self, FromSettings, Settings};
use crate::{Configured, Loss};

/// `−log p[class]`, in [0, ∞), where p is the prediction, kept within 10⁻⁷ and 1 − 10⁻⁷ and divided
/// by the sum, or the softmax of logits, computed without forming it.
///
/// Targets are class numbers of the predictions' shape without the last axis; a number that is no
/// class is an error when the loss is computed.
///
/// Keras: <https://keras.io/api/losses/probabilistic_losses/#sparsecategoricalcrossentropy-class>.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SparseCategoricalCrossentropy {
    /// Whether predictions are logits; Keras' default is that they are probabilities. Where they
    /// are what a softmax gives, its logits are taken in either case, because they are exact.
    pub from_logits: bool,
    /// A class number that marks what does not count, also one that is no class, such as −1; none
    /// by default. The mean is then over what counts.
    pub ignore_class: Option<i32>,
}

impl SparseCategoricalCrossentropy {
    /// For a last layer without activation: predictions are logits.
    pub fn from_logits() -> Self {
        SparseCategoricalCrossentropy {
            from_logits: true,
            ..Self::default()
        }
    }

    /// Marks what does not count by this class number.
    #[must_use]
    pub fn ignore_class(mut self, class: i32) -> Self {
        self.ignore_class = Some(class);
        self
    }
}

/// 1 where a target counts, 0 where it is the class that marks what does not.
fn counting(targets: Var<'_>, class: i32) -> Var<'_> {
    targets.to_f32().not_equal(class as f32)
}

/// Class numbers with 0 in the place of `class`, which need not be one.
#[derive(Clone, Copy, Debug)]
struct Forget {
    class: i32,
}

impl Op for Forget {
    attributes!(class);

    fn name(&self) -> &str {
        "forget_class"
    }

    fn shape(&self, operands: &[&Shape]) -> Result<Shape, Detail> {
        Ok(operands[0].clone())
    }

    fn data_type(&self) -> DataType {
        DataType::I32
    }

    fn operand_type(&self, _index: usize) -> DataType {
        DataType::I32
    }

    fn forward(&self, operands: Forward<'_>, output: Output<'_>) -> Result<(), Detail> {
        for (kept, &class) in output.i32().iter_mut().zip(operands.i32(0)) {
            *kept = if class == self.class { 0 } else { class };
        }
        Ok(())
    }

    fn keeps_samples_apart(&self) -> bool {
        true
    }
}

impl Configured for SparseCategoricalCrossentropy {
    fn class_name(&self) -> &str {
        "SparseCategoricalCrossentropy"
    }

    fn module(&self) -> &str {
        "keras.losses"
    }

    fn config(&self) -> Map<String, Value> {
        Map::from_iter([
            ("from_logits".to_string(), self.from_logits.into()),
            ("ignore_class".to_string(), json!(self.ignore_class)),
        ])
    }
}

impl FromSettings for SparseCategoricalCrossentropy {
    fn from_settings(settings: &Settings<'_>) -> Result<Self, Detail> {
        // The class axis is the last; Keras takes no other, and does not write it.
        let axis = settings.axis("axis", -1)?;
        settings::require(axis == -1, "SparseCategoricalCrossentropy.axis", "-1", axis)?;
        Ok(SparseCategoricalCrossentropy {
            from_logits: settings.flag("from_logits", false)?,
            ignore_class: settings.optional_integer("ignore_class")?,
        })
    }
}

impl Loss for SparseCategoricalCrossentropy {
    fn targets(&self, predictions: &Shape) -> Result<(Shape, DataType), Detail> {
        class_numbers(predictions)
    }

    fn call<'g>(&self, targets: Var<'g>, predictions: Var<'g>) -> Var<'g> {
        let below = predictions.operands_of::<Softmax>();
        let mut logits = match below.as_deref() {
            Some(&[logits]) => logits,
            _ if self.from_logits => predictions,
            _ => clip_probability(predictions).log(),
        };
        let Some(class) = self.ignore_class else {
            return logits.softmax_cross_entropy(targets);
        };
        let counts = counting(targets, class);
        let targets = targets.graph().apply(Forget { class }, &[targets]);
        // What does not count may be anything, even NaN, and has no gradient.
        logits = counts.expand_dims(last(logits)).select(logits, 0.0);
        counts.select(logits.softmax_cross_entropy(targets), 0.0)
    }

    fn link(&self, predictions: Var<'_>) -> Option<Link> {
        let given = predictions.operands_of::<Softmax>().is_some();
        (self.from_logits && !given).then_some(Link::Softmax)
    }

    fn mask<'g>(&self, targets: Var<'g>, _values: Var<'g>) -> Option<Var<'g>> {
        self.ignore_class.map(|class| counting(targets, class))
    }
}
