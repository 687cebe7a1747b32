//! The area under the receiver-operating or the precision-recall curve, by thresholds. After
//! <https://keras.io/api/metrics/classification_metrics/#auc-class>; the interpolation of the
//! precision-recall curve is that of Davis and Goadrich, "The relationship between precision-recall
//! and ROC curves" (2006).

mod buckets;
mod curve;

use regraft_layers::settings;
use regraft_layers::settings::require;
use regraft_tensor::Detail;

pub(super) use buckets::{Buckets, MOST_THRESHOLDS};
pub use curve::{Curve, Summation};

use super::probabilities::sigmoid;
use super::settings::check;
use super::{Batch, Direction, Error, Metric, Result};

settings! {
    /// The approximate area under a curve: 200 thresholds, receiver operating characteristic and
    /// interpolation unless set otherwise.
    ///
    /// Predictions are probabilities (or logits, see [`from_logits`](Self::from_logits)). Only the
    /// bucket between two thresholds is counted per prediction, so an update costs the same for any
    /// number of thresholds.
    #[derive(Clone, Debug)]
    pub struct Auc as "keras.metrics.AUC" {
        /// With Keras' defaults.
        new()
        /// So many thresholds, evenly spaced; at least 2. Default 200.
        num_thresholds: usize = 200 => |at: &str, count: usize| {
            require((2..=MOST_THRESHOLDS).contains(&count), at, "2 to a million thresholds", count)
        },
        /// The curve.
        curve: Curve = Curve::Roc,
        /// How the area is summed.
        summation as "summation_method": Summation = Summation::Interpolation,
        /// Whether each column of the predictions is a label of its own: the areas are then computed
        /// apart and averaged. Otherwise all predictions make one curve.
        multi_label: bool = false,
        num_labels: Option<usize> = None,
        /// Weights of the labels: of their areas with `multi_label`, of their predictions without.
        label_weights: Option<Vec<f64>> = None,
        /// Whether predictions are logits, to which a sigmoid is applied.
        from_logits: bool = false,
        /// These thresholds, between 0 and 1, and one below 0 and one above 1.
        thresholds: Option<Vec<f64>> = None => |at: &str, given: Option<Vec<f64>>| {
            let inside = given.iter().flatten().all(|one| (0.0..=1.0).contains(one));
            require(inside, at, "thresholds between 0 and 1", given)
        },
    }
    state { buckets: Option<Buckets> = None }
    writing |auc, config| {
        match &auc.thresholds {
            None => drop(config.remove("thresholds")),
            // What is given counts, as in Keras.
            Some(given) => {
                config["num_thresholds"] = (given.len() + 2).into();
                config["thresholds"] = sorted(given).into();
            }
        }
    }
}

fn sorted(thresholds: &[f64]) -> Vec<f64> {
    let mut sorted = thresholds.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

impl Metric for Auc {
    fn name(&self) -> &str {
        "auc"
    }

    fn reset(&mut self) {
        if let Some(buckets) = &mut self.buckets {
            buckets.reset();
        }
    }

    fn update(&mut self, batch: &Batch<'_>) -> Result<()> {
        batch.check_targets("auc")?;
        let width = batch.width();
        let labels = if self.multi_label { width } else { 1 };
        if self.buckets.is_none() {
            check(self)?;
            self.buckets = Some(match &self.thresholds {
                Some(given) => Buckets::between(&sorted(given), labels),
                None => Buckets::even(self.num_thresholds, labels),
            });
        }
        let buckets = self.buckets.as_mut().expect("they were made above");
        let weights = self.label_weights.as_ref().map_or(width, Vec::len);
        if buckets.labels() != labels || weights != width {
            let expected = match &self.label_weights {
                Some(weights) if weights.len() != width => weights.len(),
                _ => buckets.labels(),
            };
            return Err(Error::Shape(Detail::new(
                "auc",
                format!("predictions of {expected} labels along the last axis"),
                format!("shape {:?}", batch.shape),
            )));
        }
        let per_sample = batch.rows_per_sample();
        for row in 0..batch.rows() {
            let sample_weight = batch.weight(row / per_sample);
            for (label, &prediction) in batch.row(row).iter().enumerate() {
                let prediction = if self.from_logits {
                    sigmoid(prediction)
                } else {
                    prediction
                };
                let mut weight = sample_weight;
                if let (false, Some(weights)) = (self.multi_label, &self.label_weights) {
                    weight *= weights[label];
                }
                let target = batch.target(row, label);
                let label = if self.multi_label { label } else { 0 };
                buckets.add(label, prediction, target, weight);
            }
        }
        Ok(())
    }

    fn result(&self) -> f64 {
        let (mut total, mut weights) = (0.0, 0.0);
        let buckets = self.buckets.iter();
        for (label, counts) in buckets.flat_map(Buckets::counts).enumerate() {
            let weight = match &self.label_weights {
                Some(weights) if self.multi_label => weights[label],
                _ => 1.0,
            };
            total += weight * self.curve.area(self.summation, &counts);
            weights += weight;
        }
        if weights == 0.0 { 0.0 } else { total / weights }
    }

    fn direction(&self) -> Option<Direction> {
        Some(Direction::Up)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{IntoMetric, Targets};
    use proptest::prelude::*;

    fn update(metric: &mut Auc, targets: &[f32], predictions: &[f32]) -> Result<()> {
        let shape = [predictions.len()];
        let targets = Targets::Values(targets);
        metric.update(&Batch {
            targets,
            predictions,
            shape: &shape,
            sample_weights: None,
        })
    }

    #[test]
    fn nothing_and_one_kind_of_target_give_zero() {
        assert_eq!(Auc::new().result(), 0.0);
        let mut metric = Auc::new();
        update(&mut metric, &[1.0, 1.0], &[0.2, 0.9]).unwrap();
        assert_eq!(metric.result(), 0.0);
    }

    #[test]
    fn numbers_outside_zero_to_one_do_no_harm() {
        let mut metric = Auc::new();
        let strange = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -3.0, 7.0];
        update(&mut metric, &[1.0, 1.0, 0.0, 0.0, 1.0], &strange).unwrap();
        assert!(metric.result().is_finite());
    }

    #[test]
    fn settings_without_meaning_are_errors() {
        assert!(Auc::new().num_thresholds(1).into_metric().is_err());
        assert!(
            Auc::new()
                .thresholds([0.5, f64::NAN])
                .into_metric()
                .is_err()
        );
        let mut metric = Auc::new().label_weights(vec![1.0, 2.0]);
        assert!(matches!(
            update(&mut metric, &[1.0], &[0.5]),
            Err(Error::Shape(_))
        ));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_roc_area_is_the_chance_that_a_positive_outranks_a_negative(
            // Centres of the buckets between thresholds, so that the approximation is exact.
            samples in prop::collection::vec((any::<bool>(), 0_u8..10), 2..40),
        ) {
            let targets: Vec<f32> = samples.iter().map(|sample| f32::from(u8::from(sample.0))).collect();
            let predictions: Vec<f32> =
                samples.iter().map(|sample| (f32::from(sample.1) + 0.5) / 10.0).collect();
            let of = |kind: bool| samples.iter().filter(move |sample| sample.0 == kind);
            prop_assume!(of(true).count() > 0 && of(false).count() > 0);
            let mut chance = 0.0;
            for positive in of(true) {
                for negative in of(false) {
                    chance += match positive.1.cmp(&negative.1) {
                        std::cmp::Ordering::Greater => 1.0,
                        std::cmp::Ordering::Equal => 0.5,
                        std::cmp::Ordering::Less => 0.0,
                    };
                }
            }
            chance /= (of(true).count() * of(false).count()) as f64;
            for metric in [
                Auc::new().num_thresholds(11),
                Auc::new().thresholds([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]),
            ] {
                let mut metric = metric;
                update(&mut metric, &targets, &predictions).unwrap();
                prop_assert!((metric.result() - chance).abs() < 1e-9);
            }
        }
    }
}
