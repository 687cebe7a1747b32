//! What is made of the values of a batch's samples.

use crate::settings::named;

/// How one number is made of the losses of a batch's samples.
///
/// Keras: <https://keras.io/api/losses/#base-loss-api>.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Reduction {
    /// The sum of weighted losses divided by the number of losses (that count): a sample's weight
    /// does not change what the others are divided by. Keras' default; it also calls it `mean`.
    #[default]
    SumOverBatchSize,
    /// The sum of weighted losses.
    Sum,
    /// The sum of weighted losses divided by the sum of the weights.
    MeanWithSampleWeight,
}

named!(
    Reduction: SumOverBatchSize = "sum_over_batch_size", Sum = "sum",
    MeanWithSampleWeight = "mean_with_sample_weight";
    // The last is Keras 2's.
    SumOverBatchSize = "mean", SumOverBatchSize = "auto"
);
