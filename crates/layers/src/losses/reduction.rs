//! What is made of the values of a batch's samples.

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

impl Reduction {
    /// The names that configurations have for it; `auto` is Keras 2's.
    pub(super) const NAMES: [(Self, &'static str); 5] = [
        (Reduction::SumOverBatchSize, "sum_over_batch_size"),
        (Reduction::Sum, "sum"),
        (Reduction::MeanWithSampleWeight, "mean_with_sample_weight"),
        (Reduction::SumOverBatchSize, "mean"),
        (Reduction::SumOverBatchSize, "auto"),
    ];

    /// Keras' name for it.
    pub fn name(self) -> &'static str {
        let named = Self::NAMES.iter().find(|(reduction, _)| *reduction == self);
        named.map_or("", |(_, name)| name)
    }
}
