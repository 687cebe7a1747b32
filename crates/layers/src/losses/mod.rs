//! Keras' losses, one file each: formulas of the graph from targets and predictions to one value
//! per sample, and [`LossFunction`], which makes one number of them.

mod define;
mod function;
#[cfg(test)]
mod golden;
mod reduction;
mod sigmoid_cross_entropy;
mod signs;
pub use reduction::Reduction;

pub use function::LossFunction;
pub(crate) use sigmoid_cross_entropy::crossentropy as binary_crossentropy_of_each;

use regraft_autograd::{DataType, Shape, Var};
use regraft_tensor::Detail;
use serde_json::{Map, Value};

use crate::Configured;
use crate::settings::{self, catalogue};

/// A loss: how far predictions are from targets.
///
/// The value has the shape of the predictions without the last axis: one per sample, or per
/// position of a sample. [`LossFunction::apply`] weighs these and makes one number of them. A loss
/// that is about the batch as a whole has a single number (shape `()`) already.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a loss",
    note = "implement `regraft_layers::Loss` (and `Configured`): `targets` and `call`"
)]
pub trait Loss: Configured {
    /// The shape and the element type of the targets that go with predictions of this shape.
    ///
    /// # Errors
    /// Why predictions of this shape have no such loss.
    fn targets(&self, predictions: &Shape) -> Result<(Shape, DataType), Detail>;

    /// The loss of each sample (or position), as a value of the graph.
    fn call<'g>(&self, targets: Var<'g>, predictions: Var<'g>) -> Var<'g>;

    /// What makes probabilities of `predictions`, if this loss takes them for logits. A metric that was
    /// given by name is computed from these probabilities.
    fn link(&self, _predictions: Var<'_>) -> Option<Link> {
        None
    }

    /// The class number that marks targets that do not count, if there is one: it need not be a class.
    fn ignored_class(&self) -> Option<i32> {
        None
    }

    /// 1 where a value counts and 0 where it does not, of the shape of `values`, if not all do. The
    /// mean is then over those that count.
    fn mask<'g>(&self, _targets: Var<'g>, _values: Var<'g>) -> Option<Var<'g>> {
        None
    }
}

/// What makes probabilities of logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Each logit is one of a label of its own.
    Sigmoid,
    /// The logits of a row, along the last axis, are those of the classes.
    Softmax,
}

catalogue! {
    LossFunction, LossFunction::make:
    binary_crossentropy: BinaryCrossentropy ["binary_crossentropy", "bce"];
    binary_focal_crossentropy: BinaryFocalCrossentropy ["binary_focal_crossentropy"];
    categorical_crossentropy: CategoricalCrossentropy ["categorical_crossentropy"];
    categorical_focal_crossentropy: CategoricalFocalCrossentropy ["categorical_focal_crossentropy"];
    categorical_generalized_cross_entropy:
        CategoricalGeneralizedCrossEntropy ["categorical_generalized_cross_entropy"];
    categorical_hinge: CategoricalHinge ["categorical_hinge"];
    circle: Circle ["circle"];
    cosine_similarity: CosineSimilarity ["cosine_similarity"];
    dice: Dice ["dice"];
    hinge: Hinge ["hinge"];
    huber: Huber ["huber"];
    kl_divergence: KLDivergence ["kl_divergence", "kld", "kullback_leibler_divergence"];
    log_cosh: LogCosh ["log_cosh", "logcosh"];
    mean_absolute_error: MeanAbsoluteError ["mean_absolute_error", "mae"];
    mean_absolute_percentage_error:
        MeanAbsolutePercentageError ["mean_absolute_percentage_error", "mape"];
    mean_squared_error: MeanSquaredError ["mean_squared_error", "mse"];
    mean_squared_logarithmic_error:
        MeanSquaredLogarithmicError ["mean_squared_logarithmic_error", "msle"];
    poisson: Poisson ["poisson"];
    sparse_categorical_crossentropy:
        SparseCategoricalCrossentropy ["sparse_categorical_crossentropy"];
    squared_hinge: SquaredHinge ["squared_hinge"];
    tversky: Tversky ["tversky"];
}

/// The loss that Keras calls `name` (`MeanSquaredError`, `mean_squared_error` or `mse`), with these
/// settings.
///
/// # Errors
/// A name that is not known (the nearest are listed) or a setting that has no meaning.
pub fn from_config(name: &str, config: &Map<String, Value>) -> Result<LossFunction, Detail> {
    settings::make("loss", TABLE, name, config)
}
