//! Keras' losses, one file each: formulas of the graph from targets and predictions to one value
//! per sample, and [`LossFunction`], which makes one number of them.

mod binary_crossentropy;
mod binary_focal_crossentropy;
mod categorical_crossentropy;
mod categorical_focal_crossentropy;
mod categorical_generalized_cross_entropy;
mod categorical_hinge;
mod circle;
mod cosine_similarity;
mod define;
mod dice;
mod function;
#[cfg(test)]
mod golden;
mod hinge;
mod huber;
mod kl_divergence;
mod log_cosh;
mod mean_absolute_error;
mod mean_absolute_percentage_error;
mod mean_squared_error;
mod mean_squared_logarithmic_error;
mod poisson;
mod reduction;
mod sigmoid_cross_entropy;
mod signs;
mod sparse_categorical_crossentropy;
mod squared_hinge;
mod tversky;

pub use binary_crossentropy::BinaryCrossentropy;
pub use binary_focal_crossentropy::BinaryFocalCrossentropy;
pub use categorical_crossentropy::CategoricalCrossentropy;
pub use categorical_focal_crossentropy::CategoricalFocalCrossentropy;
pub use categorical_generalized_cross_entropy::CategoricalGeneralizedCrossEntropy;
pub use categorical_hinge::CategoricalHinge;
pub use circle::Circle;
pub use cosine_similarity::CosineSimilarity;
pub use dice::Dice;
pub use function::LossFunction;
pub use hinge::Hinge;
pub use huber::Huber;
pub use kl_divergence::KLDivergence;
pub use log_cosh::LogCosh;
pub use mean_absolute_error::MeanAbsoluteError;
pub use mean_absolute_percentage_error::MeanAbsolutePercentageError;
pub use mean_squared_error::MeanSquaredError;
pub use mean_squared_logarithmic_error::MeanSquaredLogarithmicError;
pub use poisson::Poisson;
pub use reduction::Reduction;
pub use sparse_categorical_crossentropy::SparseCategoricalCrossentropy;
pub use squared_hinge::SquaredHinge;
pub use tversky::Tversky;

use regraft_autograd::{DataType, Shape, Var};
use regraft_tensor::Detail;
use serde_json::{Map, Value};

use crate::Configured;
use crate::settings::{self, Maker};

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

const TABLE: &[Maker<LossFunction>] = &[
    (
        &["binary_crossentropy", "bce"],
        LossFunction::make::<BinaryCrossentropy>,
    ),
    (
        &["binary_focal_crossentropy"],
        LossFunction::make::<BinaryFocalCrossentropy>,
    ),
    (
        &["categorical_crossentropy"],
        LossFunction::make::<CategoricalCrossentropy>,
    ),
    (
        &["categorical_focal_crossentropy"],
        LossFunction::make::<CategoricalFocalCrossentropy>,
    ),
    (
        &["categorical_generalized_cross_entropy"],
        LossFunction::make::<CategoricalGeneralizedCrossEntropy>,
    ),
    (
        &["categorical_hinge"],
        LossFunction::make::<CategoricalHinge>,
    ),
    (&["circle"], LossFunction::make::<Circle>),
    (
        &["cosine_similarity"],
        LossFunction::make::<CosineSimilarity>,
    ),
    (&["dice"], LossFunction::make::<Dice>),
    (&["hinge"], LossFunction::make::<Hinge>),
    (&["huber"], LossFunction::make::<Huber>),
    (
        &["kl_divergence", "kld", "kullback_leibler_divergence"],
        LossFunction::make::<KLDivergence>,
    ),
    (&["log_cosh", "logcosh"], LossFunction::make::<LogCosh>),
    (
        &["mean_absolute_error", "mae"],
        LossFunction::make::<MeanAbsoluteError>,
    ),
    (
        &["mean_absolute_percentage_error", "mape"],
        LossFunction::make::<MeanAbsolutePercentageError>,
    ),
    (
        &["mean_squared_error", "mse"],
        LossFunction::make::<MeanSquaredError>,
    ),
    (
        &["mean_squared_logarithmic_error", "msle"],
        LossFunction::make::<MeanSquaredLogarithmicError>,
    ),
    (&["poisson"], LossFunction::make::<Poisson>),
    (
        &["sparse_categorical_crossentropy"],
        LossFunction::make::<SparseCategoricalCrossentropy>,
    ),
    (&["squared_hinge"], LossFunction::make::<SquaredHinge>),
    (&["tversky"], LossFunction::make::<Tversky>),
];

/// The loss that Keras calls `name` (`MeanSquaredError`, `mean_squared_error` or `mse`), with these
/// settings.
///
/// # Errors
/// A name that is not known (the nearest are listed) or a setting that has no meaning.
pub fn from_config(name: &str, config: &Map<String, Value>) -> Result<LossFunction, Detail> {
    settings::make("loss", TABLE, name, config)
}
