//! Cross-entropies as metrics: the mean over samples of what the losses of the same names compute.
//! After <https://keras.io/api/metrics/probabilistic_metrics/>. `t` is the target and `p` the
//! predicted probability, kept between `1e-7` and `1 − 1e-7`.

use regraft_layers::losses::Link;
use regraft_layers::settings;
use regraft_layers::settings::require;
use regraft_tensor::Detail;

use super::along::Along;
use super::regression::EPSILON;
use super::settings::{check, last_axis};
use super::{Batch, Direction, Error, Metric, Result, Targets, WeightedMean};

settings! {
    /// The mean of `−t ln p − (1 − t) ln (1 − p)` over each row.
    #[derive(Clone, Debug)]
    pub struct BinaryCrossentropy as "keras.metrics.BinaryCrossentropy" {
        /// For probabilities, without label smoothing.
        new()
        /// Whether predictions are logits instead of probabilities. Default no.
        from_logits: bool = false,
        /// Takes `t (1 − s) + s / 2` for a target `t`; from 0 to 1. Default 0.
        label_smoothing: f64 = 0.0 => smoothing,
    }
    state { mean: WeightedMean = WeightedMean::default() }
    reading |settings, _metric| {
        last_axis(settings)?;
    }
}

settings! {
    /// `−Σ t ln p` over each row, whose predictions are first scaled to sum to 1. Targets are one-hot
    /// rows or probabilities.
    #[derive(Clone, Debug)]
    pub struct CategoricalCrossentropy as "keras.metrics.CategoricalCrossentropy" {
        /// For probabilities, without label smoothing.
        new()
        /// Whether predictions are logits instead of probabilities. Default no.
        from_logits: bool = false,
        /// Takes `t (1 − s) + s / classes` for a target `t`; from 0 to 1. Default 0.
        label_smoothing: f64 = 0.0 => smoothing,
        /// The axis of the classes, samples first; negative ones count from the end. Default −1.
        axis: i64 = -1,
    }
    state {
        mean: WeightedMean = WeightedMean::default(),
        along: Along = Along::default(),
    }
}

settings! {
    /// `−ln p` of the target class in each row, `p` being scaled so that the row sums to 1. Targets are
    /// class numbers.
    #[derive(Clone, Debug)]
    pub struct SparseCategoricalCrossentropy as "keras.metrics.SparseCategoricalCrossentropy" {
        /// For probabilities.
        new()
        /// Whether predictions are logits instead of probabilities. Default no.
        from_logits: bool = false,
        /// Rows whose target is this class have no part in it: their value is 0, and where samples have
        /// weights, so is theirs (as in Keras). Default: none.
        ignore_class: Option<i32> = None,
    }
    state { mean: WeightedMean = WeightedMean::default() }
    reading |settings, _metric| {
        last_axis(settings)?;
    }
    writing |_metric, config| {
        config.insert("axis".to_string(), (-1).into());
    }
}

fn is_share(share: f64) -> bool {
    (0.0..=1.0).contains(&share)
}

fn smoothing(at: &str, share: f64) -> Result<(), Detail> {
    require(is_share(share), at, "a number from 0 to 1", share)
}

/// A predicted probability as Keras keeps it away from 0 and 1.
fn clipped(probability: f32) -> f64 {
    f64::from(probability.clamp(EPSILON, 1.0 - EPSILON))
}

/// `ln Σ eˣ`, which no large `x` overflows.
fn log_sum_exp(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = values.clone().fold(f64::NEG_INFINITY, f64::max);
    if largest.is_infinite() {
        return largest;
    }
    largest
        + values
            .map(|value| (value - largest).exp())
            .sum::<f64>()
            .ln()
}

/// The loss of a row whose target is `class`.
fn row_loss(from_logits: bool, class: usize, row: &[f32]) -> f64 {
    if from_logits {
        log_sum_exp(row.iter().map(|&logit| f64::from(logit))) - f64::from(row[class])
    } else {
        let sum: f64 = row.iter().map(|&p| clipped(p)).sum();
        sum.ln() - clipped(row[class]).ln()
    }
}

impl SparseCategoricalCrossentropy {
    /// The batch with rows of the ignored class left out.
    fn update_counted(&mut self, name: &str, batch: &Batch<'_>, ignored: i32) -> Result<()> {
        let Targets::Classes(classes) = batch.targets else {
            return batch.classes(name).map(|_| ());
        };
        let counted = |class: &i32| *class != ignored;
        let held: Vec<i32> = classes
            .iter()
            .map(|class| if counted(class) { *class } else { 0 })
            .collect();
        let held = Batch {
            targets: Targets::Classes(&held),
            ..*batch
        };
        let from_logits = self.from_logits;
        let per_sample = batch.rows_per_sample();
        let targets = held.classes(name)?.iter().zip(classes);
        for (row, (&class, given)) in targets.enumerate() {
            let weight = batch.weight(row / per_sample) / per_sample as f64;
            if counted(given) {
                let value = row_loss(from_logits, class as usize, batch.row(row));
                self.mean.add_part(value * weight);
            }
            if batch.sample_weights.is_some() && counted(given) {
                self.mean.add(0.0, weight);
            }
        }
        if batch.sample_weights.is_none() {
            self.mean.add_weights(batch);
        }
        Ok(())
    }
}

impl Metric for BinaryCrossentropy {
    fn name(&self) -> &str {
        "binary_crossentropy"
    }

    fn looks_at_masks(&self) -> bool {
        true
    }

    fn reset(&mut self) {
        self.mean = WeightedMean::default();
    }

    fn update(&mut self, batch: &Batch<'_>) -> Result<()> {
        if !is_share(self.label_smoothing) {
            check(self)?;
        }
        let (from_logits, smoothing) = (self.from_logits, self.label_smoothing);
        let loss = |t: f32, p: f32| {
            let t = f64::from(t) * (1.0 - smoothing) + 0.5 * smoothing;
            if from_logits {
                let logit = f64::from(p);
                logit.max(0.0) - logit * t + (-logit.abs()).exp().ln_1p()
            } else {
                let p = clipped(p);
                -(t * p.ln() + (1.0 - t) * (1.0 - p).ln())
            }
        };
        self.mean
            .add_rows("binary_crossentropy", batch, |targets, predictions| {
                let pairs = targets.iter().zip(predictions);
                pairs.map(|(&t, &p)| loss(t, p)).sum::<f64>() / targets.len() as f64
            })
    }

    fn result(&self) -> f64 {
        self.mean.get()
    }

    fn direction(&self) -> Option<Direction> {
        Some(Direction::Down)
    }

    fn takes_logits(&mut self, link: Link) -> bool {
        self.from_logits = link == Link::Sigmoid;
        self.from_logits
    }
}

impl Metric for CategoricalCrossentropy {
    fn name(&self) -> &str {
        "categorical_crossentropy"
    }

    fn looks_at_masks(&self) -> bool {
        true
    }

    fn reset(&mut self) {
        self.mean = WeightedMean::default();
    }

    fn update(&mut self, batch: &Batch<'_>) -> Result<()> {
        if !is_share(self.label_smoothing) {
            check(self)?;
        }
        let (from_logits, smoothing) = (self.from_logits, self.label_smoothing);
        batch.values("categorical_crossentropy")?;
        let batch = self
            .along
            .of("categorical_crossentropy", batch, self.axis)?;
        self.mean.add_rows(
            "categorical_crossentropy",
            &batch,
            |targets, predictions| {
                let uniform = smoothing / targets.len() as f64;
                let targets = targets
                    .iter()
                    .map(|&t| f64::from(t) * (1.0 - smoothing) + uniform);
                if from_logits {
                    let logits = predictions.iter().map(|&logit| f64::from(logit));
                    let norm = log_sum_exp(logits.clone());
                    targets
                        .zip(logits)
                        .map(|(t, logit)| t * (norm - logit))
                        .sum()
                } else {
                    let sum: f32 = predictions.iter().sum();
                    let logs = predictions.iter().map(|&p| clipped(p / sum).ln());
                    -targets.zip(logs).map(|(t, log)| t * log).sum::<f64>()
                }
            },
        )
    }

    fn result(&self) -> f64 {
        self.mean.get()
    }

    fn direction(&self) -> Option<Direction> {
        Some(Direction::Down)
    }

    fn takes_logits(&mut self, link: Link) -> bool {
        self.from_logits = link == Link::Softmax;
        self.from_logits
    }
}

impl Metric for SparseCategoricalCrossentropy {
    fn name(&self) -> &str {
        "sparse_categorical_crossentropy"
    }

    fn looks_at_masks(&self) -> bool {
        true
    }

    fn reset(&mut self) {
        self.mean = WeightedMean::default();
    }

    fn update(&mut self, batch: &Batch<'_>) -> Result<()> {
        let name = "sparse_categorical_crossentropy";
        batch.check(name)?;
        if batch.width() < 2 {
            return Err(Error::Shape(
                Detail::new(
                    name,
                    "predictions of two or more classes along the last axis",
                    format!("shape {:?}", batch.shape),
                )
                .help("a single sigmoid unit goes with binary_crossentropy"),
            ));
        }
        if let Some(class) = self.ignore_class {
            return self.update_counted(name, batch, class);
        }
        let from_logits = self.from_logits;
        self.mean
            .add_class_rows(name, batch, |class, row| row_loss(from_logits, class, row))
    }

    fn result(&self) -> f64 {
        self.mean.get()
    }

    fn direction(&self) -> Option<Direction> {
        Some(Direction::Down)
    }

    fn takes_logits(&mut self, link: Link) -> bool {
        self.from_logits = link == Link::Softmax;
        self.from_logits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_logits_do_not_overflow() {
        let batch = Batch {
            targets: Targets::Classes(&[1]),
            predictions: &[1e4, 0.0],
            shape: &[1, 2],
            sample_weights: None,
        };
        let mut metric = SparseCategoricalCrossentropy::new().from_logits(true);
        metric.update(&batch).unwrap();
        assert_eq!(metric.result(), 1e4);
    }

    #[test]
    fn smoothing_outside_zero_to_one_is_an_error() {
        let batch = Batch {
            targets: Targets::Values(&[0.0, 1.0]),
            predictions: &[0.5, 0.5],
            shape: &[1, 2],
            sample_weights: None,
        };
        let wrong = BinaryCrossentropy::new()
            .label_smoothing(1.5)
            .update(&batch);
        let text = wrong.unwrap_err().to_string();
        assert!(
            text.contains("binary_crossentropy/label_smoothing"),
            "{text}"
        );
        let mut wrong = CategoricalCrossentropy::new().label_smoothing(f64::NAN);
        assert!(wrong.update(&batch).is_err());
    }

    #[test]
    fn class_numbers_and_one_hot_rows_ask_for_their_own_metric() {
        let mut batch = Batch {
            targets: Targets::Classes(&[1]),
            predictions: &[0.5, 0.5],
            shape: &[1, 2],
            sample_weights: None,
        };
        let text = CategoricalCrossentropy::new()
            .update(&batch)
            .unwrap_err()
            .to_string();
        assert!(text.contains("Sparse"), "{text}");
        batch.targets = Targets::Values(&[0.0, 1.0]);
        let text = SparseCategoricalCrossentropy::new()
            .update(&batch)
            .unwrap_err()
            .to_string();
        assert!(text.contains("without 'Sparse'"), "{text}");
    }
}
