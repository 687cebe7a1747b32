//! Numbers about answers to pictures that were not learnt from.

use crate::run_file::Share;

/// What a classifier says of pictures that it has not seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    pub classes: usize,
    /// A row of `classes` probabilities for each picture.
    pub probabilities: Vec<f64>,
    pub labels: Vec<usize>,
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

    pub fn accuracy(&self) -> Share {
        let right = (0..self.len())
            .filter(|&picture| self.is_right(picture))
            .count();
        Share::of(right, self.len())
    }

    /// Right answers and pictures of each class.
    pub fn per_class(&self) -> Vec<(usize, usize)> {
        let mut counts = vec![(0, 0); self.classes];
        for (picture, label) in self.labels.iter().enumerate() {
            counts[*label].0 += usize::from(self.is_right(picture));
            counts[*label].1 += 1;
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
        let losses = self
            .labels
            .iter()
            .enumerate()
            .map(|(picture, label)| -self.row(picture)[*label].max(f64::MIN_POSITIVE).ln());
        losses.sum::<f64>() / self.len().max(1) as f64
    }

    /// The largest probability that 95 % of the pictures have at least.
    pub fn least_confidence(&self) -> f64 {
        let mut sure: Vec<f64> = (0..self.len())
            .map(|picture| self.answer(picture).1)
            .collect();
        sure.sort_by(f64::total_cmp);
        sure.get(self.len() / 20).copied().unwrap_or(0.0)
    }

    /// The probability from which on a class is in a set of answers, so that the right one is with 1 − alpha: one less
    /// the ⌈(n + 1)(1 − alpha)⌉-th smallest of 1 − p of the right class.
    pub fn set_threshold(&self, alpha: f64) -> f64 {
        let mut right: Vec<f64> = self
            .labels
            .iter()
            .enumerate()
            .map(|(picture, label)| self.row(picture)[*label])
            .collect();
        right.sort_by(|a, b| b.total_cmp(a));
        let rank = ((self.len() + 1) as f64 * (1.0 - alpha)).ceil() as usize;
        right.get(rank.max(1) - 1).copied().unwrap_or(0.0)
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
        (0..self.len()).map(size).sum::<usize>() as f64 / self.len().max(1) as f64
    }

    /// Answers by confidence; bins without any are left out.
    pub fn bins(&self) -> Vec<Bin> {
        let mut bins = vec![Bin::default(); BINS];
        for picture in 0..self.len() {
            let (_, confidence) = self.answer(picture);
            let bin = &mut bins[((confidence * BINS as f64) as usize).min(BINS - 1)];
            bin.count += 1;
            bin.confidence += confidence;
            bin.accuracy += f64::from(u8::from(self.is_right(picture)));
        }
        bins.retain(|bin| bin.count > 0);
        for bin in &mut bins {
            bin.confidence /= bin.count as f64;
            bin.accuracy /= bin.count as f64;
        }
        bins
    }

    /// How far confidence is from accuracy, on average over the answers.
    pub fn calibration_error(&self) -> f64 {
        let errors = self
            .bins()
            .into_iter()
            .map(|bin| bin.count as f64 * (bin.confidence - bin.accuracy).abs());
        errors.sum::<f64>() / self.len().max(1) as f64
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
    /// So many of all, with Wilson's interval at 95 %.
    pub fn of(count: usize, all: usize) -> Self {
        const Z: f64 = 1.959_963_984_540_054;
        if all == 0 {
            return Share {
                value: f64::NAN,
                low: 0.0,
                high: 1.0,
            };
        }
        let (n, p) = (all as f64, count as f64 / all as f64);
        let middle = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
        let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        Share {
            value: p,
            low: (middle - half).max(0.0),
            high: (middle + half).min(1.0),
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
        }
    }

    #[test]
    fn numbers_are_those_of_the_definitions() {
        let told = told();
        assert_eq!(told.accuracy().value, 0.75);
        assert_eq!(told.set_threshold(0.4), 0.6);
        assert_eq!(told.mean_set(0.3), 6.0 / 4.0);
        assert_eq!(told.per_class(), [(2, 2), (1, 2)]);
        assert_eq!(told.balanced_accuracy(), 0.75);
        let loss = -(0.9_f64.ln() + 0.2_f64.ln() + 0.7_f64.ln() + 0.6_f64.ln()) / 4.0;
        assert!((told.log_loss() - loss).abs() < 1e-12);
        let error = (0.1 + 0.8 + 0.3 + 0.4) / 4.0;
        assert!((told.calibration_error() - error).abs() < 1e-12);
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
