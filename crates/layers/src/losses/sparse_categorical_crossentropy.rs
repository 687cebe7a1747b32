//! Cross-entropy with integer classes.

use regraft_autograd::ops::Softmax;
use regraft_autograd::{DataType, Forward, Op, Output, Shape, Var, attributes};
use regraft_tensor::Detail;

use super::Link;
use super::define::{class_numbers, last};
use crate::Loss;
use crate::formulas::clip_probability;
use crate::settings::require;

settings! {
    /// `−log p[class]`, in [0, ∞), where p is the prediction, kept within 10⁻⁷ and 1 − 10⁻⁷ and divided
    /// by the sum, or the softmax of logits, computed without forming it.
    ///
    /// Targets are class numbers of the predictions' shape without the last axis; a number that is no
    /// class is an error when the loss is computed.
    ///
    /// Keras: <https://keras.io/api/losses/probabilistic_losses/#sparsecategoricalcrossentropy-class>.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct SparseCategoricalCrossentropy as "keras.losses.SparseCategoricalCrossentropy" {
        /// Whether predictions are logits; Keras' default is that they are probabilities. Where they
        /// are what a softmax gives, its logits are taken in either case, because they are exact.
        pub from_logits: bool = false,
        /// A class number that marks what does not count, also one that is no class, such as −1; none
        /// by default. The mean is then over what counts.
        pub ignore_class: Option<i32> = None,
    }
    reading |settings, _it| {
        // The class axis is the last; Keras takes no other, and does not write it.
        let axis: isize = settings.or("axis", -1)?;
        require(axis == -1, "SparseCategoricalCrossentropy.axis", "-1", axis)?;
    }
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

impl Loss for SparseCategoricalCrossentropy {
    fn targets(&self, predictions: &Shape) -> Result<(Shape, DataType), Detail> {
        class_numbers(predictions)
    }

    fn ignored_class(&self) -> Option<i32> {
        self.ignore_class
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
