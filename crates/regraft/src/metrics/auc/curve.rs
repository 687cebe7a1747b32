//! The curves and the area under each between thresholds.

use crate::metrics::counts::{Counts, share};

/// Which curve to take the area under.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Curve {
    /// Receiver operating characteristic: recall over the rate of false positives.
    #[default]
    Roc,
    /// Precision over recall.
    Pr,
    /// Precision gain over recall gain (Flach and Kull 2015).
    PrGain,
}

/// How the area between two thresholds is summed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Summation {
    /// At the mean height; for [`Curve::Pr`] with the interpolation that is right for that curve.
    #[default]
    Interpolation,
    /// At the smaller height.
    Minoring,
    /// At the larger height.
    Majoring,
}

impl Curve {
    /// The area under the curve through the points of `counts`, ascending by threshold.
    pub(super) fn area(self, summation: Summation, counts: &[Counts]) -> f64 {
        let pairs = counts.windows(2).map(|pair| (&pair[0], &pair[1]));
        if self == Curve::Pr && summation == Summation::Interpolation {
            return pairs
                .map(|(low, high)| interpolated_precision(low, high))
                .sum();
        }
        let between = |(low, high): (&Counts, &Counts)| {
            let ((x_low, y_low), (x_high, y_high)) = (self.point(low), self.point(high));
            let height = match summation {
                Summation::Interpolation => (y_low + y_high) / 2.0,
                Summation::Minoring => y_low.min(y_high),
                Summation::Majoring => y_low.max(y_high),
            };
            (x_low - x_high) * height
        };
        pairs.map(between).sum()
    }

    /// A point of the curve.
    fn point(self, counts: &Counts) -> (f64, f64) {
        let Counts {
            true_positives,
            false_positives,
            true_negatives,
            false_negatives,
        } = *counts;
        let recall = share(true_positives, false_negatives);
        match self {
            Curve::Roc => (share(false_positives, true_negatives), recall),
            Curve::Pr => (recall, share(true_positives, false_positives)),
            Curve::PrGain if true_positives == 0.0 => (0.0, 1.0),
            Curve::PrGain => {
                let negatives = true_negatives + false_positives;
                let positives = true_positives + false_negatives;
                let scale = if negatives == 0.0 {
                    0.0
                } else {
                    positives / negatives
                };
                let gain = |wrong: f64| 1.0 - scale * wrong / true_positives;
                (gain(false_negatives).max(0.0), gain(false_positives))
            }
        }
    }
}

/// The area under the precision-recall curve between two thresholds, along which true positives
/// grow linearly with all positives.
fn interpolated_precision(low: &Counts, high: &Counts) -> f64 {
    let ratio = |a: f64, b: f64| if b == 0.0 { 0.0 } else { a / b };
    let positives = |counts: &Counts| counts.true_positives + counts.false_positives;
    let (p_low, p_high) = (positives(low), positives(high));
    let gained = low.true_positives - high.true_positives;
    let slope = ratio(gained, (p_low - p_high).max(0.0));
    let intercept = high.true_positives - slope * p_high;
    let growth = if p_low > 0.0 && p_high > 0.0 {
        p_low / p_high
    } else {
        1.0
    };
    let targets = (high.true_positives + high.false_negatives).max(0.0);
    ratio(slope * (gained + intercept * growth.ln()), targets)
}
