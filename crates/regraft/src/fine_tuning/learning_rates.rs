//! What a sweep over learning rates has found, and the rates that are read off it.

use std::fmt;

/// Losses at growing learning rates, from [`Model::lr_find`](crate::Model::lr_find), and the rates that fastai's rules
/// read off them. It prints as these.
///
/// The rules leave out the first tenth of the steps, the last five, and what comes after a loss that is no number.
#[derive(Clone, Debug, PartialEq)]
pub struct LearningRates {
    /// The learning rate of each step.
    pub rates: Vec<f64>,
    /// The loss after each step, smoothed: each batch counts .98 of the next, divided by what all count.
    pub losses: Vec<f64>,
    /// How many steps were to be made.
    pub steps: usize,
}

impl LearningRates {
    /// What the rules look at: rates and losses.
    pub fn looked_at(&self) -> (&[f64], &[f64]) {
        let from = (self.steps / 10).min(self.rates.len());
        let to = self.rates.len().saturating_sub(5).max(from);
        let losses = &self.losses[from..to];
        let numbers = losses.iter().take_while(|loss| !loss.is_nan()).count();
        (&self.rates[from..from + numbers], &losses[..numbers])
    }

    /// Within the longest row of falling losses (of those between which others may lie) the step at half of the middle
    /// third: fastai's first choice.
    pub fn valley(&self) -> Option<f64> {
        let (rates, losses) = self.looked_at();
        // The length of the longest row that ends at each.
        let mut rows = vec![1_isize; losses.len()];
        let (mut start, mut end) = (0, 0);
        for i in 1..losses.len() {
            for j in 0..i {
                if losses[i] < losses[j] {
                    rows[i] = rows[i].max(rows[j] + 1);
                }
                if rows[end] < rows[i] {
                    end = i;
                    // Of the row as it is known so far: it may get longer, and fastai does not look again.
                    start = end as isize - rows[end];
                }
            }
        }
        let third = (end as isize - start) as f64 / 3.0;
        let at = start + third as isize + (third / 2.0) as isize;
        // Before the first is the last, in a list of Python's.
        let at = if at < 0 {
            at + losses.len() as isize
        } else {
            at
        };
        rates.get(usize::try_from(at).ok()?).copied()
    }

    /// A tenth of the rate with the least loss.
    pub fn minimum(&self) -> Option<f64> {
        let (rates, losses) = self.looked_at();
        Some(rates.get(first_least(losses)?)? / 10.0)
    }

    /// The rate where the loss falls most from one step to the next, by the logarithm of the rate.
    pub fn steep(&self) -> Option<f64> {
        let (rates, losses) = self.looked_at();
        let slopes = losses.windows(2).zip(rates.windows(2));
        let slopes: Vec<f64> = slopes
            .map(|(loss, rate)| (loss[1] - loss[0]) / (rate[1].ln() - rate[0].ln()))
            .collect();
        rates.get(first_least(&slopes)?).copied()
    }

    /// Two places 15 steps apart slide from the end to the left as long as the slopes of the loss there differ by more than
    /// .005; the rate of the left one where they stop.
    pub fn slide(&self) -> Option<f64> {
        const APART: usize = 15;
        const ALIKE: f64 = 0.005;
        let (rates, losses) = self.looked_at();
        let count = losses.len();
        // As numpy's gradient: differences over two steps, over one at the ends.
        let slope = |i: usize| {
            let (from, to) = (i.saturating_sub(1), (i + 1).min(count - 1));
            (losses[to] - losses[from]) / (to - from) as f64
        };
        if count <= APART {
            return None;
        }
        let mut right = count - 1;
        let mut found = rates[right - APART];
        while right >= APART && (slope(right) - slope(right - APART)).abs() > ALIKE {
            found = rates[right - APART];
            right -= 1;
        }
        Some(found)
    }

    /// The sweep as a picture, losses over the logarithm of the rate.
    ///
    /// # Errors
    /// As [`LearningCurves::to_svg`](crate::curves::LearningCurves::to_svg).
    #[cfg(feature = "plot")]
    pub fn to_svg(&self) -> crate::curves::Result<String> {
        crate::curves::over_rates(&self.rates, &self.losses, self.valley())
    }
}

/// The first of the smallest.
fn first_least(values: &[f64]) -> Option<usize> {
    let mut least = None;
    for (index, value) in values.iter().enumerate() {
        if least.is_none_or(|least: usize| *value < values[least]) {
            least = Some(index);
        }
    }
    least
}

impl fmt::Display for LearningRates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suggestions = [
            ("valley", self.valley()),
            ("minimum", self.minimum()),
            ("steep", self.steep()),
            ("slide", self.slide()),
        ];
        for (index, (name, rate)) in suggestions.into_iter().enumerate() {
            let between = if index == 0 { "" } else { ", " };
            match rate {
                Some(rate) => write!(f, "{between}{name} {rate:.2e}")?,
                None => write!(f, "{between}{name} –")?,
            }
        }
        Ok(())
    }
}
