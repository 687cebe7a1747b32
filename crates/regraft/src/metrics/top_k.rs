//! The share of rows whose class is among the `k` largest predictions.

use regraft_tensor::Detail;
use serde_json::{Map, Value};

use super::accuracy::argmax;
use super::settings::settings;
use super::{Batch, Direction, Error, Metric, Result, Targets, WeightedMean, keras_class};

/// The share of rows whose target class is among the `k` largest predictions. Targets are one-hot
/// rows or probabilities.
///
/// A class ties in if fewer than `k` predictions are larger than its own, as in Keras.
#[derive(Clone, Debug)]
pub struct TopKCategoricalAccuracy {
    mean: WeightedMean,
    k: usize,
}

/// The share of rows whose target class is among the `k` largest predictions. Targets are class
/// numbers.
///
/// A class ties in if fewer than `k` predictions are larger than its own, as in Keras.
#[derive(Clone, Debug)]
pub struct SparseTopKCategoricalAccuracy {
    mean: WeightedMean,
    k: usize,
    from_sorted_ids: bool,
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

impl TopKCategoricalAccuracy {
    /// With `k` of Keras' default, 5.
    pub fn new() -> Self {
        Self::with_k(5)
    }

    /// With `k` classes to look at.
    pub fn with_k(k: usize) -> Self {
        TopKCategoricalAccuracy {
            mean: WeightedMean::default(),
            k,
        }
    }
}

impl regraft_layers::FromSettings for TopKCategoricalAccuracy {
    fn from_settings(
        settings: &regraft_layers::settings::Settings<'_>,
    ) -> Result<Self, regraft_tensor::Detail> {
        Ok(Self::with_k(settings.get::<usize>("k")?.unwrap_or(5)))
    }
}

impl SparseTopKCategoricalAccuracy {
    /// With `k` of Keras' default, 5.
    pub fn new() -> Self {
        Self::with_k(5)
    }

    /// With `k` classes to look at.
    pub fn with_k(k: usize) -> Self {
        SparseTopKCategoricalAccuracy {
            mean: WeightedMean::default(),
            k,
            from_sorted_ids: false,
        }
    }

    /// Whether the predictions are class numbers, the likeliest first, instead of a number for each
    /// class.
    #[must_use]
    pub fn from_sorted_ids(mut self, from_sorted_ids: bool) -> Self {
        self.from_sorted_ids = from_sorted_ids;
        self
    }
}

impl regraft_layers::FromSettings for SparseTopKCategoricalAccuracy {
    fn from_settings(
        settings: &regraft_layers::settings::Settings<'_>,
    ) -> Result<Self, regraft_tensor::Detail> {
        let metric = Self::with_k(settings.get::<usize>("k")?.unwrap_or(5));
        Ok(metric.from_sorted_ids(settings.or::<bool>("from_sorted_ids", false)?))
    }
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

impl Default for TopKCategoricalAccuracy {
    fn default() -> Self {
        Self::new()
    }
}

impl Default for SparseTopKCategoricalAccuracy {
    fn default() -> Self {
        Self::new()
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

impl regraft_layers::Configured for TopKCategoricalAccuracy {
    keras_class!("TopKCategoricalAccuracy");

    fn config(&self) -> Map<String, Value> {
        settings([("k", self.k.into())])
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

impl regraft_layers::Configured for SparseTopKCategoricalAccuracy {
    keras_class!("SparseTopKCategoricalAccuracy");

    fn config(&self) -> Map<String, Value> {
        let mut config = settings([("k", self.k.into())]);
        // Older versions of Keras do not know it.
        if self.from_sorted_ids {
            config.insert("from_sorted_ids".to_string(), true.into());
        }
        config
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
            SparseTopKCategoricalAccuracy::with_k(0)
                .update(&batch)
                .is_err()
        );
        assert!(
            SparseTopKCategoricalAccuracy::with_k(1)
                .update(&batch)
                .is_ok()
        );
    }
}
