//! The share of predictions that equal their target.

use super::mean::mean_metric;

mean_metric! {
    /// The share of predictions that are equal to their target, which predicted probabilities never
    /// are: for models that predict labels themselves. It is Keras' *class* `Accuracy`; what the string
    /// `"accuracy"` means is [`Accuracy`](super::Accuracy).
    ExactAccuracy, "accuracy", "keras.metrics.Accuracy", Up,
    |targets, predictions| {
        let pairs = targets.iter().zip(predictions);
        pairs.filter(|(t, p)| t == p).count() as f64 / targets.len() as f64
    }
}
