//! The share of rows whose class is among the `k` largest predictions.

use regraft_layers::settings;
use regraft_tensor::Detail;

use super::accuracy::argmax;
use super::{Batch, Direction, Error, Metric, Result, Targets, WeightedMean};

settings! {
    /// The share of rows whose target class is among the `k` largest predictions. Targets are one-hot
    /// rows or probabilities.
    ///
    /// A class ties in if fewer than `k` predictions are larger than its own, as in Keras.
    #[derive(Clone, Debug)]
    pub struct TopKCategoricalAccuracy as "keras.metrics.TopKCategoricalAccuracy" {
        /// Among the 5 largest.
        new()
        /// With so many classes to look at. Default 5.
        k: usize = 5,
    }
    state { mean: WeightedMean = WeightedMean::default() }
}

settings! {
    /// The share of rows whose target class is among the `k` largest predictions. Targets are class
    /// numbers.
    ///
    /// A class ties in if fewer than `k` predictions are larger than its own, as in Keras.
    #[derive(Clone, Debug)]
    pub struct SparseTopKCategoricalAccuracy as "keras.metrics.SparseTopKCategoricalAccuracy" {
        /// Among the 5 largest.
        new()
        /// With so many classes to look at. Default 5.
        k: usize = 5,
        /// Whether the predictions are class numbers, the likeliest first, instead of a number for each
        /// class. Default no.
        from_sorted_ids: bool = false,
    }
    state { mean: WeightedMean = WeightedMean::default() }
    writing |metric, config| {
        // Older versions of Keras do not know it.
        if !metric.from_sorted_ids {
            config.remove("from_sorted_ids");
        }
    }
}

/// Whether `class` is among the `k` largest of `row`. NaN anywhere that matters makes it false.
fn in_top_k(row: &[f32], class: usize, k: usize) -> bool {
    let chosen = row[class];
    let larger = row.iter().filter(|&&value| value > chosen).count();
    chosen.is_finite() && larger < k
}

fn check_k(name: &str, k: usize, batch: &Batch<'_>) -> Result<()> {
    batch.check(name)?;
    if k == 0 || batch.width() < 2 {
        return Err(Error::Shape(Detail::new(
            name,
            "k of at least 1, and two or more classes along the last axis",
            format!("k = {k}, shape {:?}", batch.shape),
        )));
    }
    Ok(())
}

impl SparseTopKCategoricalAccuracy {
    /// The classes are not those of the predictions' columns, so any number may be one.
    fn update_sorted(&mut self, name: &str, batch: &Batch<'_>) -> Result<()> {
        let Targets::Classes(classes) = batch.targets else {
            return batch.classes(name).map(|_| ());
        };
        let per_sample = batch.rows_per_sample();
        for (row, &class) in classes.iter().enumerate() {
            let first = batch.row(row).iter().take(self.k);
            let found = first.into_iter().any(|&id| id == class as f32);
            let weight = batch.weight(row / per_sample) / per_sample as f64;
            self.mean.add_part(f64::from(u8::from(found)) * weight);
        }
        self.mean.add_weights(batch);
        Ok(())
    }
}

impl Metric for TopKCategoricalAccuracy {
    fn name(&self) -> &str {
        "top_k_categorical_accuracy"
    }

    fn looks_at_masks(&self) -> bool {
        true
    }

    fn reset(&mut self) {
        self.mean = WeightedMean::default();
    }

    fn update(&mut self, batch: &Batch<'_>) -> Result<()> {
        let (name, k) = ("top_k_categorical_accuracy", self.k);
        check_k(name, k, batch)?;
        batch.values(name)?;
        self.mean.add_rows(name, batch, |target, predicted| {
            f64::from(u8::from(in_top_k(predicted, argmax(target), k)))
        })
    }

    fn result(&self) -> f64 {
        self.mean.get()
    }

    fn direction(&self) -> Option<Direction> {
        Some(Direction::Up)
    }
}

impl Metric for SparseTopKCategoricalAccuracy {
    fn name(&self) -> &str {
        "sparse_top_k_categorical_accuracy"
    }

    fn looks_at_masks(&self) -> bool {
        true
    }

    fn reset(&mut self) {
        self.mean = WeightedMean::default();
    }

    fn update(&mut self, batch: &Batch<'_>) -> Result<()> {
        let (name, k) = ("sparse_top_k_categorical_accuracy", self.k);
        check_k(name, k, batch)?;
        if self.from_sorted_ids {
            return self.update_sorted(name, batch);
        }
        self.mean.add_class_rows(name, batch, |class, predicted| {
            f64::from(u8::from(in_top_k(predicted, class, k)))
        })
    }

    fn result(&self) -> f64 {
        self.mean.get()
    }

    fn direction(&self) -> Option<Direction> {
        Some(Direction::Up)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_count_in() {
        assert!(in_top_k(&[0.4, 0.4, 0.2], 1, 1));
        assert!(!in_top_k(&[0.4, 0.4, 0.2], 2, 2));
        assert!(in_top_k(&[0.4, 0.4, 0.2], 2, 3));
        assert!(!in_top_k(&[f32::NAN, 0.4], 0, 2));
    }

    #[test]
    fn k_of_zero_is_an_error() {
        let batch = Batch {
            targets: Targets::Classes(&[0]),
            predictions: &[0.5, 0.5],
            shape: &[1, 2],
            sample_weights: None,
        };
        assert!(
            SparseTopKCategoricalAccuracy::new()
                .k(0_usize)
                .update(&batch)
                .is_err()
        );
        assert!(
            SparseTopKCategoricalAccuracy::new()
                .k(1_usize)
                .update(&batch)
                .is_ok()
        );
    }
}
