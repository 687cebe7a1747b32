//! Numbers about answers to pictures that were not learnt from.

use std::collections::HashMap;

use regraft_heads::{AnswerSet, Estimate, LeftOut, Unknown};

use crate::Result;
use crate::run_file::Share;

/// What a classifier says of pictures that it has not seen. In means those of a group weigh one together, and intervals
/// are those of as many trials as groups are worth; accuracies and counts are of pictures.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    pub classes: usize,
    /// A row of `classes` probabilities for each picture.
    pub probabilities: Vec<f64>,
    pub labels: Vec<usize>,
    /// Which belong together, by number.
    pub groups: Vec<usize>,
    /// Whether something is said of each: not where what was left out with it was all of its class. No number is about
    /// those.
    pub known: Vec<bool>,
}

/// Answers that were about as sure as each other.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bin {
    pub confidence: f64,
    pub accuracy: f64,
    pub count: usize,
}

/// Bins of confidence, as usual.
const BINS: usize = 15;

impl Told {
    /// What a head says of samples that it has not seen.
    pub fn of(left_out: &LeftOut, groups: Vec<usize>) -> Self {
        let probabilities = left_out.probabilities();
        Told {
            classes: probabilities.ncols(),
            probabilities: probabilities.iter().copied().collect(),
            labels: left_out.labels().to_vec(),
            known: (0..groups.len())
                .map(|picture| left_out.is_known(picture))
                .collect(),
            groups,
        }
    }

    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// The probabilities of a picture.
    pub fn row(&self, picture: usize) -> &[f64] {
        &self.probabilities[picture * self.classes..][..self.classes]
    }

    /// The class with the largest probability, and that.
    pub fn answer(&self, picture: usize) -> (usize, f64) {
        largest(self.row(picture))
    }

    fn is_right(&self, picture: usize) -> bool {
        self.answer(picture).0 == self.labels[picture]
    }

    /// The numbers of those of which something is said.
    fn known(&self) -> impl Iterator<Item = usize> {
        (0..self.len()).filter(|picture| self.known[*picture])
    }

    /// How many these are.
    pub fn known_count(&self) -> usize {
        self.known().count()
    }

    /// The numbers of the classes of which nothing is known.
    pub fn unknown_classes(&self) -> Vec<usize> {
        let counts = self.per_class().into_iter().enumerate();
        counts
            .filter(|(_, (_, all))| *all == 0)
            .map(|(class, _)| class)
            .collect()
    }

    pub fn accuracy(&self) -> Share {
        let right = |picture| (self.is_right(picture), self.groups[picture]);
        Estimate::of(self.known().map(right)).into()
    }

    /// Each picture of which something is said, and how much it weighs: those of a group 1 together.
    fn weighted(&self) -> Vec<(usize, f64)> {
        let mut sizes: HashMap<usize, usize> = HashMap::new();
        for picture in self.known() {
            *sizes.entry(self.groups[picture]).or_default() += 1;
        }
        let weight = |picture: usize| 1.0 / sizes[&self.groups[picture]] as f64;
        self.known()
            .map(|picture| (picture, weight(picture)))
            .collect()
    }

    /// Right answers and pictures of each class.
    pub fn per_class(&self) -> Vec<(usize, usize)> {
        let mut counts = vec![(0, 0); self.classes];
        for picture in self.known() {
            let (right, all) = &mut counts[self.labels[picture]];
            *right += usize::from(self.is_right(picture));
            *all += 1;
        }
        counts
    }

    /// The mean over classes of the accuracy in each.
    pub fn balanced_accuracy(&self) -> f64 {
        let shares: Vec<f64> = self
            .per_class()
            .into_iter()
            .filter(|(_, all)| *all > 0)
            .map(|(right, all)| right as f64 / all as f64)
            .collect();
        shares.iter().sum::<f64>() / shares.len().max(1) as f64
    }

    /// The mean of −ln of the right class' probability.
    pub fn log_loss(&self) -> f64 {
        let (mut sum, mut total) = (0.0, 0.0);
        for (picture, weight) in self.weighted() {
            let p = self.row(picture)[self.labels[picture]];
            sum -= weight * p.max(f64::MIN_POSITIVE).ln();
            total += weight;
        }
        sum / f64::max(total, 1.0)
    }

    /// The largest probability that 95 % of the pictures have at least.
    pub fn least_confidence(&self) -> f64 {
        let (sure, groups): (Vec<f64>, Vec<usize>) = self
            .known()
            .map(|picture| (self.answer(picture).1, self.groups[picture]))
            .unzip();
        Unknown::threshold_of(&sure, &groups).max(0.0)
    }

    /// Sets of answers that hold the right one with 1 − alpha.
    ///
    /// # Errors
    /// If alpha does not lie between 0 and 1.
    pub fn answer_set(&self, alpha: f64) -> Result<AnswerSet> {
        let (right, groups): (Vec<f64>, Vec<usize>) = self
            .known()
            .map(|picture| {
                (
                    self.row(picture)[self.labels[picture]],
                    self.groups[picture],
                )
            })
            .unzip();
        Ok(AnswerSet::new(&right, &groups, alpha)?)
    }

    /// How many classes are in a set of answers, on average.
    pub fn mean_set(&self, threshold: f64) -> f64 {
        let size = |picture: usize| {
            self.row(picture)
                .iter()
                .filter(|p| **p >= threshold)
                .count()
                .max(1)
        };
        self.known().map(size).sum::<usize>() as f64 / self.known_count().max(1) as f64
    }

    /// Answers by confidence; bins without any are left out.
    pub fn bins(&self) -> Vec<Bin> {
        self.weighted_bins()
            .into_iter()
            .map(|(bin, _)| bin)
            .collect()
    }

    /// Bins, and how much each weighs.
    fn weighted_bins(&self) -> Vec<(Bin, f64)> {
        let mut bins = vec![(Bin::default(), 0.0); BINS];
        for (picture, weight) in self.weighted() {
            let (_, confidence) = self.answer(picture);
            let (bin, total) = &mut bins[((confidence * BINS as f64) as usize).min(BINS - 1)];
            bin.count += 1;
            bin.confidence += weight * confidence;
            bin.accuracy += weight * f64::from(u8::from(self.is_right(picture)));
            *total += weight;
        }
        bins.retain(|(bin, _)| bin.count > 0);
        for (bin, total) in &mut bins {
            bin.confidence /= *total;
            bin.accuracy /= *total;
        }
        bins
    }

    /// How far confidence is from accuracy, on average over the answers.
    pub fn calibration_error(&self) -> f64 {
        let (mut sum, mut all) = (0.0, 0.0);
        for (bin, weight) in self.weighted_bins() {
            sum += weight * (bin.confidence - bin.accuracy).abs();
            all += weight;
        }
        sum / f64::max(all, 1.0)
    }
}

/// The place of the largest, and it.
pub(crate) fn largest(row: &[f64]) -> (usize, f64) {
    let first = (0, f64::NEG_INFINITY);
    row.iter().enumerate().fold(
        first,
        |best, (at, value)| if *value > best.1 { (at, *value) } else { best },
    )
}

impl Share {
    /// So many of all, each by itself, with Wilson's interval at 95 %.
    pub fn of(count: usize, all: usize) -> Self {
        Estimate::new(count as f64 / all as f64, all).into()
    }
}

impl From<Option<Estimate>> for Share {
    fn from(estimate: Option<Estimate>) -> Self {
        match estimate {
            Some(Estimate {
                value, low, high, ..
            }) => Share { value, low, high },
            None => Share {
                value: f64::NAN,
                low: 0.0,
                high: 1.0,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> Told {
        Told {
            classes: 2,
            probabilities: vec![0.9, 0.1, 0.8, 0.2, 0.3, 0.7, 0.6, 0.4],
            labels: vec![0, 1, 1, 0],
            groups: vec![0, 1, 2, 3],
            known: vec![true; 4],
        }
    }

    /// Of a class that was gone when its only group was left out nothing is known, so it is in no number.
    #[test]
    fn classes_of_which_nothing_is_known_change_no_number() {
        let all = told();
        let mut with_silent = told();
        with_silent.classes = 3;
        let rows = all.probabilities.chunks(2);
        with_silent.probabilities = rows.flat_map(|row| [row[0], row[1], 0.0]).collect();
        for _ in 0..5 {
            with_silent.probabilities.extend([0.95, 0.05, 0.0]);
            with_silent.labels.push(2);
            with_silent.groups.push(9);
            with_silent.known.push(false);
        }
        assert_eq!(with_silent.unknown_classes(), [2]);
        assert_eq!(with_silent.accuracy(), all.accuracy());
        assert_eq!(with_silent.per_class(), [(2, 2), (1, 2), (0, 0)]);
        assert_eq!(
            with_silent.answer_set(0.4).unwrap(),
            all.answer_set(0.4).unwrap()
        );
        let numbers = |told: &Told| {
            [
                told.balanced_accuracy(),
                told.log_loss(),
                told.calibration_error(),
                told.least_confidence(),
                told.mean_set(0.3),
            ]
        };
        assert_eq!(numbers(&with_silent), numbers(&all));
        let bins = with_silent.bins();
        assert_eq!(bins.iter().map(|bin| bin.count).sum::<usize>(), 4);
    }

    #[test]
    fn numbers_are_those_of_the_definitions() {
        let told = told();
        assert_eq!(told.accuracy().value, 0.75);
        assert_eq!(told.answer_set(0.4).unwrap().threshold, 0.6);
        assert_eq!(told.mean_set(0.3), 6.0 / 4.0);
        assert_eq!(told.per_class(), [(2, 2), (1, 2)]);
        assert_eq!(told.balanced_accuracy(), 0.75);
        let loss = -(0.9_f64.ln() + 0.2_f64.ln() + 0.7_f64.ln() + 0.6_f64.ln()) / 4.0;
        assert!((told.log_loss() - loss).abs() < 1e-12);
        let error = (0.1 + 0.8 + 0.3 + 0.4) / 4.0;
        assert!((told.calibration_error() - error).abs() < 1e-12);
    }

    /// Ninety pictures of one thing weigh as much as one.
    #[test]
    fn a_burst_counts_once() {
        let one = told();
        let mut burst = told();
        for _ in 1..90 {
            burst.probabilities.extend([0.8, 0.2]);
            burst.labels.push(1);
            burst.groups.push(1);
            burst.known.push(true);
        }
        let numbers = |told: &Told| {
            [
                told.log_loss(),
                told.calibration_error(),
                told.least_confidence(),
                told.answer_set(0.3).unwrap().threshold,
            ]
        };
        for (one, burst) in numbers(&one).into_iter().zip(numbers(&burst)) {
            assert!((one - burst).abs() < 1e-12, "{one} {burst}");
        }
        let share = burst.accuracy();
        assert!((share.value - 3.0 / 93.0).abs() < 1e-12);
        // Of a single trial.
        assert!(share.high > 0.75, "{share:?}");
        assert_eq!(burst.bins().iter().map(|bin| bin.count).sum::<usize>(), 93);
    }

    #[test]
    fn wilsons_interval() {
        // As in Brown, Cai and DasGupta (2001): 8 of 10.
        let share = Share::of(8, 10);
        assert!(
            (share.low - 0.490_16).abs() < 1e-4 && (share.high - 0.943_3).abs() < 1e-4,
            "{share:?}"
        );
        assert_eq!(Share::of(5, 5).high, 1.0);
    }
}
