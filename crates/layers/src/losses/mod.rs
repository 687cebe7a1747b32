//! Keras' losses, one file each: formulas of the graph from targets and predictions to one value per
//! sample.

mod sparse_categorical_crossentropy;

pub use sparse_categorical_crossentropy::SparseCategoricalCrossentropy;

use regraft_autograd::{DataType, Shape, Var};
use regraft_tensor::Detail;

use crate::Configured;

/// A loss: how far predictions are from targets.
///
/// The value has the shape of the predictions without the last axis (one value per sample, or per
/// position of a sample); training multiplies it with the sample weights and takes the mean over
/// all values, as Keras' `sum_over_batch_size` does.
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
}
