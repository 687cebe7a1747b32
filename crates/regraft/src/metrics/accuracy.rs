//! The share of predictions that are right, for two classes, many, and one-hot targets.

use regraft_layers::losses::Link;
use regraft_layers::settings;
use regraft_tensor::Detail;
use regraft_tensor::kernels::largest::{count_largest_at, is_largest_at};
use serde_json::Value;

use super::{Batch, Direction, Error, Metric, Result, Targets, WeightedMean};

settings! {
    /// What the string `"accuracy"` means in Keras: the accuracy that suits shapes and targets.
    ///
    /// Rows of one prediction are binary ([`BinaryAccuracy`]); rows of several are sparse categorical
    /// with class numbers as targets ([`SparseCategoricalAccuracy`]) and categorical with one-hot rows
    /// ([`CategoricalAccuracy`]). (Keras' *class* `Accuracy` tests for equality instead, which predicted
    /// probabilities never pass.)
    #[derive(Clone, Debug)]
    pub struct Accuracy as "keras.metrics.Accuracy" {
        /// The metric before its first batch.
        new()
    }
    state { mean: WeightedMean = WeightedMean::default() }
}

settings! {
    /// The share of predictions on the right side of a threshold: `(prediction > threshold) == target`,
    /// averaged over each row. Targets are 0 and 1.
    #[derive(Clone, Debug)]
    pub struct BinaryAccuracy as "keras.metrics.BinaryAccuracy" {
        /// With a threshold of 0.5; for logits, the matching threshold is 0.
        new()
        /// From where on, but not including it, a prediction counts as 1. Default 0.5.
        threshold: f64 = 0.5,
    }
    state { mean: WeightedMean = WeightedMean::default() }
}

settings! {
    /// The share of rows whose largest prediction stands where the largest target stands. Targets are
    /// one-hot rows or probabilities; of equal values the first counts. Logits do as well as
    /// probabilities.
    #[derive(Clone, Debug)]
    pub struct CategoricalAccuracy as "keras.metrics.CategoricalAccuracy" {
        /// The metric before its first batch.
        new()
    }
    state { mean: WeightedMean = WeightedMean::default() }
}

settings! {
    /// The share of rows whose largest prediction stands at the target's class number. Of equal
    /// predictions the first counts, so a row without differences predicts class 0. Logits do as well as
    /// probabilities.
    #[derive(Clone, Debug)]
    pub struct SparseCategoricalAccuracy as "keras.metrics.SparseCategoricalAccuracy" {
        /// The metric before its first batch.
        new()
    }
    state { mean: WeightedMean = WeightedMean::default() }
}

/// The place of the largest value, the first of equals.
pub(crate) fn argmax(values: &[f32]) -> usize {
    let mut best = 0;
    for (index, &value) in values.iter().enumerate() {
        if value > values[best] {
            best = index;
        }
    }
    best
}

fn update_sparse(mean: &mut WeightedMean, name: &str, batch: &Batch<'_>) -> Result<()> {
    batch.check(name)?;
    let classes = batch.classes(name)?;
    let width = batch.width();
    if width < 2 {
        return Err(needs_classes(name, batch));
    }
    if batch.sample_weights.is_some() {
        return mean.add_class_rows(name, batch, |class, row| {
            f64::from(u8::from(is_largest_at(row, class)))
        });
    }
    let right = count_largest_at(batch.predictions, width, classes);
    mean.add_part(right as f64 * batch.samples() as f64 / batch.rows().max(1) as f64);
    mean.add_weights(batch);
    Ok(())
}

fn update_categorical(mean: &mut WeightedMean, name: &str, batch: &Batch<'_>) -> Result<()> {
    batch.check(name)?;
    batch.values(name)?;
    if batch.width() < 2 {
        return Err(needs_classes(name, batch));
    }
    mean.add_rows(name, batch, |target, predicted| {
        f64::from(u8::from(is_largest_at(predicted, argmax(target))))
    })
}

fn update_binary(
    mean: &mut WeightedMean,
    name: &str,
    batch: &Batch<'_>,
    threshold: f32,
) -> Result<()> {
    batch.check(name)?;
    if let Targets::Classes(_) = batch.targets
        && batch.width() == 1
    {
        batch.classes(name)?;
    }
    mean.add_rows(name, batch, |target, predicted| {
        let pairs = target.iter().zip(predicted);
        let right = pairs
            .filter(|&(&t, &p)| f32::from(u8::from(p > threshold)) == t)
            .count();
        right as f64 / target.len() as f64
    })
}

fn needs_classes(name: &str, batch: &Batch<'_>) -> Error {
    Error::Shape(
        Detail::new(
            name,
            "predictions of two or more classes along the last axis",
            format!("shape {:?}", batch.shape),
        )
        .help("a single sigmoid unit goes with binary_accuracy"),
    )
}

macro_rules! accuracy_metric {
    ($name:ident, $keras:literal, |$metric:ident, $batch:ident| $update:expr, $($kept:tt)*) => {
        impl Metric for $name {
            fn name(&self) -> &str {
                $keras
            }

            fn looks_at_masks(&self) -> bool {
                true
            }

            fn reset(&mut self) {
                self.mean = WeightedMean::default();
            }

            fn update(&mut self, $batch: &Batch<'_>) -> Result<()> {
                let $metric = self;
                $update
            }

            fn result(&self) -> f64 {
                self.mean.get()
            }

            fn direction(&self) -> Option<Direction> {
                Some(Direction::Up)
            }

            $($kept)*
        }
    };
}

accuracy_metric! {
    Accuracy,
    "accuracy",
    |metric, batch| match batch.targets {
        _ if batch.width() == 1 => update_binary(&mut metric.mean, "accuracy", batch, 0.5),
        Targets::Classes(_) => update_sparse(&mut metric.mean, "accuracy", batch),
        Targets::Values(_) => update_categorical(&mut metric.mean, "accuracy", batch),
    },

    // Keras has it as a name alone; its class of that name tests for equality.
    fn serialize(&self) -> Value {
        "accuracy".into()
    }

    // A softmax leaves the largest where it is.
    fn takes_logits(&mut self, link: Link) -> bool {
        link == Link::Softmax
    }
}
accuracy_metric!(BinaryAccuracy, "binary_accuracy", |metric, batch| {
    let threshold = metric.threshold as f32;
    update_binary(&mut metric.mean, "binary_accuracy", batch, threshold)
},);
accuracy_metric!(
    CategoricalAccuracy,
    "categorical_accuracy",
    |metric, batch| update_categorical(&mut metric.mean, "categorical_accuracy", batch),
    // A softmax leaves the largest where it is.
    fn takes_logits(&mut self, link: Link) -> bool {
        link == Link::Softmax
    }
);
accuracy_metric!(
    SparseCategoricalAccuracy,
    "sparse_categorical_accuracy",
    |metric, batch| update_sparse(&mut metric.mean, "sparse_categorical_accuracy", batch),
    // A softmax leaves the largest where it is.
    fn takes_logits(&mut self, link: Link) -> bool {
        link == Link::Softmax
    }
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn one_pass_finds_the_same_class_as_a_search(
            // Few distinct values, so that ties are common.
            row in prop::collection::vec((-2_i8..3).prop_map(f32::from), 1..20),
        ) {
            for class in 0..row.len() {
                prop_assert_eq!(is_largest_at(&row, class), argmax(&row) == class);
            }
        }
    }

    #[test]
    fn a_row_with_nan_is_never_right() {
        assert!(!is_largest_at(&[1.0, f32::NAN], 0));
        assert!(!is_largest_at(&[1.0, f32::NAN], 1));
    }

    #[test]
    fn accuracy_chooses_by_shape_and_targets() {
        let update = |targets, predictions: &[f32], shape: &[usize]| {
            let mut metric = Accuracy::new();
            metric
                .update(&Batch {
                    targets,
                    predictions,
                    shape,
                    sample_weights: None,
                })
                .unwrap();
            metric.result()
        };
        assert_eq!(
            update(Targets::Values(&[1.0, 0.0]), &[0.7, 0.6], &[2, 1]),
            0.5
        );
        assert_eq!(update(Targets::Classes(&[1, 0]), &[0.7, 0.6], &[2]), 0.5);
        assert_eq!(
            update(Targets::Classes(&[1, 1]), &[0.1, 0.2, 0.3, 0.1], &[2, 2]),
            0.5
        );
        let one_hot = Targets::Values(&[0.0, 1.0, 0.0, 1.0]);
        assert_eq!(update(one_hot, &[0.1, 0.2, 0.3, 0.1], &[2, 2]), 0.5);
    }

    #[test]
    fn a_wrong_batch_is_refused_and_leaves_nothing_behind() {
        let mut metric = SparseCategoricalAccuracy::new();
        let predictions = [0.9, 0.1, 0.2, 0.8];
        let mut update = |classes: &[i32], shape: &[usize]| {
            let targets = Targets::Classes(classes);
            let batch = Batch {
                targets,
                predictions: &predictions,
                shape,
                sample_weights: None,
            };
            metric.update(&batch).map(|()| metric.result())
        };
        assert!(matches!(update(&[0, 2], &[2, 2]), Err(Error::Target(_))));
        assert!(matches!(update(&[0, 1, 1], &[2, 2]), Err(Error::Shape(_))));
        assert!(matches!(
            update(&[0, 1, 1, 0], &[4, 1]),
            Err(Error::Shape(_))
        ));
        assert_eq!(update(&[0, 1], &[2, 2]).unwrap(), 1.0);
    }
}
