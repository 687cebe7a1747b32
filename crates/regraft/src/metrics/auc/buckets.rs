//! How much weight lies between two thresholds each.

use crate::metrics::counts::Counts;

/// What stands below 0 and above 1, so that every probability lies between.
const BELOW: f32 = -1e-7;
const ABOVE: f32 = 1.0 + 1e-7;

/// As many as a file may ask for.
pub(crate) const MOST_THRESHOLDS: usize = 1_000_000;

/// Weights of targets by the thresholds that their predictions lie between.
#[derive(Clone, Debug)]
pub(in crate::metrics) struct Buckets {
    /// Ascending, the first below 0 and the last above 1.
    thresholds: Vec<f32>,
    /// Whether they are evenly spaced, so that a bucket is computed, not searched.
    even: bool,
    /// How many thresholds lie below 0: none where the first is 0 itself.
    below_zero: f32,
    /// Per label and number of thresholds below a prediction: weights of positive and of negative targets.
    weights: Vec<[f64; 2]>,
}

impl Buckets {
    /// Between so many thresholds, evenly spaced; 2 at least.
    pub fn even(count: usize, labels: usize) -> Self {
        let between = (1..count - 1).map(|index| (index as f64 / (count - 1) as f64) as f32);
        Self::new(
            std::iter::once(BELOW).chain(between).chain([ABOVE]),
            true,
            labels,
        )
    }

    /// Between these thresholds, ascending, and one below and one above.
    pub fn between(thresholds: &[f64], labels: usize) -> Self {
        let between = thresholds.iter().map(|&one| one as f32);
        Self::new(
            std::iter::once(BELOW).chain(between).chain([ABOVE]),
            false,
            labels,
        )
    }

    /// On both sides of a single threshold.
    pub fn at_one_half() -> Self {
        Self::new([0.5], false, 1)
    }

    /// With the first threshold at 0.
    pub fn starting_at_zero(mut self) -> Self {
        self.below_zero = 0.0;
        self
    }

    fn new(thresholds: impl IntoIterator<Item = f32>, even: bool, labels: usize) -> Self {
        let thresholds: Vec<f32> = thresholds.into_iter().collect();
        let weights = vec![[0.0; 2]; (thresholds.len() + 1) * labels];
        Buckets {
            thresholds,
            even,
            below_zero: 1.0,
            weights,
        }
    }

    /// The number of labels.
    pub fn labels(&self) -> usize {
        self.weights.len() / (self.thresholds.len() + 1)
    }

    pub fn reset(&mut self) {
        self.weights.fill([0.0; 2]);
    }

    /// Adds a prediction, whose target is positive where it is not 0.
    pub fn add(&mut self, label: usize, prediction: f32, target: f32, weight: f64) {
        let at = label * (self.thresholds.len() + 1) + self.bucket(prediction);
        self.weights[at][usize::from(target == 0.0)] += weight;
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

    /// For each label the counts at every threshold.
    pub fn counts(&self) -> impl Iterator<Item = Vec<Counts>> {
        let size = self.thresholds.len() + 1;
        self.weights.chunks(size).map(move |buckets| {
            let mut counts = vec![Counts::default(); size - 1];
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
        })
    }
}
