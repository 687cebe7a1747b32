//! The area under the receiver-operating or the precision-recall curve, by thresholds. After
//! <https://keras.io/api/metrics/classification_metrics/#auc-class>; the interpolation of the
//! precision-recall curve is that of Davis and Goadrich, "The relationship between precision-recall
//! and ROC curves" (2006).

mod curve;

use regraft_tensor::Detail;
use serde_json::{Map, Value, json};

pub use curve::{Curve, Summation};

use super::counts::Counts;
use super::probabilities::sigmoid;
use super::settings::{exact, one_of, settings};
use super::{Batch, Direction, Error, Metric, Result, keras_class};

/// The approximate area under a curve: 200 thresholds, receiver operating characteristic and
/// interpolation unless set otherwise.
///
/// Predictions are probabilities (or logits, see [`from_logits`](Self::from_logits)). Only the
/// bucket between two thresholds is counted per prediction, so an update costs the same for any
/// number of thresholds.
#[derive(Clone, Debug)]
pub struct Auc {
    curve: Curve,
    summation: Summation,
    /// Ascending, the first below 0 and the last above 1.
    thresholds: Vec<f32>,
    /// Whether the thresholds are evenly spaced, so that a bucket is computed, not searched.
    even: bool,
    /// How many thresholds lie below 0: none where the first is 0 itself.
    below_zero: f32,
    /// The thresholds between the first and the last, if they were given.
    given: Option<Vec<f64>>,
    multi_label: bool,
    /// The number of labels, if it was given.
    num_labels: Option<usize>,
    label_weights: Option<Vec<f64>>,
    from_logits: bool,
    /// Per label (one for all if not `multi_label`) and number of thresholds below a prediction:
    /// weights of positive and of negative targets.
    buckets: Vec<[f64; 2]>,
}

impl Default for Auc {
    fn default() -> Self {
        Self::new()
    }
}

impl Auc {
    /// With Keras' defaults.
    pub fn new() -> Self {
        Auc {
            curve: Curve::Roc,
            summation: Summation::Interpolation,
            thresholds: even_thresholds(200),
            even: true,
            below_zero: 1.0,
            given: None,
            multi_label: false,
            num_labels: None,
            label_weights: None,
            from_logits: false,
            buckets: Vec::new(),
        }
    }

    /// The curve.
    #[must_use]
    pub fn curve(mut self, curve: Curve) -> Self {
        self.curve = curve;
        self
    }

    /// How the area is summed.
    #[must_use]
    pub fn summation(mut self, summation: Summation) -> Self {
        self.summation = summation;
        self
    }

    /// Takes `count` thresholds, evenly spaced.
    ///
    /// # Errors
    /// [`Error::Argument`] if there are fewer than 2.
    pub fn num_thresholds(mut self, count: usize) -> Result<Self> {
        if count < 2 {
            return Err(Error::Argument(Detail::new(
                "auc",
                "2 or more thresholds",
                count,
            )));
        }
        self.thresholds = even_thresholds(count);
        self.even = true;
        self.given = None;
        Ok(self)
    }

    /// Takes these thresholds and one below 0 and one above 1.
    ///
    /// # Errors
    /// [`Error::Argument`] if one is not between 0 and 1.
    pub fn thresholds(self, thresholds: &[f32]) -> Result<Self> {
        self.between(thresholds.iter().map(|&one| exact(one)).collect())
    }

    fn between(mut self, mut thresholds: Vec<f64>) -> Result<Self> {
        if !thresholds
            .iter()
            .all(|threshold| (0.0..=1.0).contains(threshold))
        {
            return Err(Error::Argument(Detail::new(
                "auc",
                "thresholds between 0 and 1",
                format!("{thresholds:?}"),
            )));
        }
        thresholds.sort_by(f64::total_cmp);
        self.thresholds = thresholds.iter().map(|&one| one as f32).collect();
        self.thresholds.insert(0, BELOW);
        self.thresholds.push(ABOVE);
        self.even = false;
        self.given = Some(thresholds);
        Ok(self)
    }

    /// With the first threshold at 0, for counts alone.
    pub(super) fn starting_at_zero(mut self) -> Self {
        self.below_zero = 0.0;
        self
    }

    /// With a single threshold, for counts alone.
    pub(super) fn at_one_half() -> Self {
        Auc {
            thresholds: vec![0.5],
            even: false,
            ..Self::new()
        }
    }

    /// The counts at every threshold so far, all labels together.
    pub(super) fn at_thresholds(&self) -> Vec<Counts> {
        match self.buckets.is_empty() {
            true => vec![Counts::default(); self.thresholds.len()],
            false => self.counts(&self.buckets),
        }
    }

    /// Whether each column of the predictions is a label of its own: the areas are then computed
    /// apart and averaged. Otherwise all predictions make one curve.
    #[must_use]
    pub fn multi_label(mut self, multi_label: bool) -> Self {
        self.multi_label = multi_label;
        self
    }

    /// Weights of the labels: of their areas with `multi_label`, of their predictions without.
    #[must_use]
    pub fn label_weights(mut self, weights: Vec<f32>) -> Self {
        self.label_weights = Some(weights.into_iter().map(exact).collect());
        self
    }

    /// Whether predictions are logits, to which a sigmoid is applied.
    #[must_use]
    pub fn from_logits(mut self, from_logits: bool) -> Self {
        self.from_logits = from_logits;
        self
    }

    /// How many thresholds lie below `prediction`; NaN counts as the lowest there is.
    fn bucket(&self, prediction: f32) -> usize {
        if self.even {
            let last = (self.thresholds.len() - 1) as f32;
            // 0 lies above the first threshold if that is below it.
            (prediction.clamp(0.0, 1.0) * last)
                .ceil()
                .max(self.below_zero) as usize
        } else {
            self.thresholds
                .partition_point(|&threshold| threshold < prediction)
        }
    }

    /// Turns the buckets of one label into counts at every threshold.
    fn counts(&self, buckets: &[[f64; 2]]) -> Vec<Counts> {
        let mut counts = vec![Counts::default(); self.thresholds.len()];
        let (mut positives, mut negatives) = (0.0, 0.0);
        for (at, bucket) in counts.iter_mut().zip(&buckets[1..]).rev() {
            positives += bucket[0];
            negatives += bucket[1];
            (at.true_positives, at.false_positives) = (positives, negatives);
        }
        positives += buckets[0][0];
        negatives += buckets[0][1];
        for at in &mut counts {
            at.false_negatives = positives - at.true_positives;
            at.true_negatives = negatives - at.false_positives;
        }
        counts
    }
}

impl regraft_layers::FromSettings for Auc {
    fn from_settings(
        settings: &regraft_layers::settings::Settings<'_>,
    ) -> Result<Self, regraft_tensor::Detail> {
        let made = Auc::new()
            .curve(one_of(settings, "curve", &CURVES)?.unwrap_or_default())
            .summation(one_of(settings, "summation_method", &SUMMATIONS)?.unwrap_or_default())
            .multi_label(settings.or::<bool>("multi_label", false)?)
            .from_logits(settings.or::<bool>("from_logits", false)?);
        // What is given counts, as in Keras.
        let count = settings.get::<usize>("num_thresholds")?;
        let mut made = match (settings.get::<Vec<f64>>("thresholds")?, count) {
            (Some(thresholds), _) => made.between(thresholds)?,
            (None, Some(count)) => made.num_thresholds(count)?,
            (None, None) => made,
        };
        made.num_labels = settings.get::<usize>("num_labels")?;
        made.label_weights = settings.get::<Vec<f64>>("label_weights")?;
        Ok(made)
    }
}

const CURVES: [(Curve, &str); 4] = [
    (Curve::Roc, "ROC"),
    (Curve::Pr, "PR"),
    (Curve::PrGain, "PRGAIN"),
    // As Keras 2 has it.
    (Curve::PrGain, "PR_GAIN"),
];

const SUMMATIONS: [(Summation, &str); 3] = [
    (Summation::Interpolation, "interpolation"),
    (Summation::Minoring, "minoring"),
    (Summation::Majoring, "majoring"),
];

/// What stands below 0 and above 1, so that every probability lies between.
const BELOW: f32 = -1e-7;
const ABOVE: f32 = 1.0 + 1e-7;

fn even_thresholds(count: usize) -> Vec<f32> {
    let between = (1..count - 1).map(|index| (index as f64 / (count - 1) as f64) as f32);
    std::iter::once(BELOW)
        .chain(between)
        .chain([ABOVE])
        .collect()
}

impl Metric for Auc {
    fn name(&self) -> &str {
        "auc"
    }

    fn reset(&mut self) {
        self.buckets.fill([0.0; 2]);
    }

    fn update(&mut self, batch: &Batch<'_>) -> Result<()> {
        batch.check_targets("auc")?;
        let width = batch.width();
        let labels = if self.multi_label { width } else { 1 };
        let size = self.thresholds.len() + 1;
        if self.buckets.is_empty() {
            self.buckets.resize(size * labels, [0.0; 2]);
        }
        let weights = self.label_weights.as_ref().map_or(width, Vec::len);
        if self.buckets.len() != size * labels || weights != width {
            let expected = match &self.label_weights {
                Some(weights) if weights.len() != width => weights.len(),
                _ => self.buckets.len() / size,
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
                let mut at = self.bucket(prediction);
                if self.multi_label {
                    at += label * size;
                } else if let Some(weights) = &self.label_weights {
                    weight *= weights[label];
                }
                let negative = usize::from(batch.target(row, label) == 0.0);
                self.buckets[at][negative] += weight;
            }
        }
        Ok(())
    }

    fn result(&self) -> f64 {
        let (mut total, mut weights) = (0.0, 0.0);
        for (label, buckets) in self.buckets.chunks(self.thresholds.len() + 1).enumerate() {
            let weight = match &self.label_weights {
                Some(weights) if self.multi_label => weights[label],
                _ => 1.0,
            };
            total += weight * self.curve.area(self.summation, &self.counts(buckets));
            weights += weight;
        }
        if weights == 0.0 { 0.0 } else { total / weights }
    }

    fn direction(&self) -> Option<Direction> {
        Some(Direction::Up)
    }
}

impl regraft_layers::Configured for Auc {
    keras_class!("AUC");

    fn config(&self) -> Map<String, Value> {
        let curve = CURVES.iter().find(|(curve, _)| *curve == self.curve);
        let summation = SUMMATIONS.iter().find(|(one, _)| *one == self.summation);
        let mut config = settings([
            ("num_thresholds", self.thresholds.len().into()),
            ("curve", json!(curve.map(|(_, name)| name))),
            ("summation_method", json!(summation.map(|(_, name)| name))),
            ("multi_label", self.multi_label.into()),
            ("num_labels", json!(self.num_labels)),
            ("label_weights", json!(self.label_weights)),
            ("from_logits", self.from_logits.into()),
        ]);
        if let Some(thresholds) = &self.given {
            config.insert("thresholds".to_string(), json!(thresholds));
        }
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Targets;
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
        assert!(Auc::new().num_thresholds(1).is_err());
        assert!(Auc::new().thresholds(&[0.5, f32::NAN]).is_err());
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
                Auc::new().num_thresholds(11).unwrap(),
                Auc::new().thresholds(&[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]).unwrap(),
            ] {
                let mut metric = metric;
                update(&mut metric, &targets, &predictions).unwrap();
                prop_assert!((metric.result() - chance).abs() < 1e-9);
            }
        }
    }
}
