//! A share with its interval.

use std::collections::BTreeMap;

/// A share, with the interval in which it lies 19 times of 20 (Wilson's).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The share that was seen.
    pub value: f64,
    /// Where the interval begins.
    pub low: f64,
    /// Where it ends.
    pub high: f64,
    /// Of how many independent trials: groups if all are of one size. A few that hold most of the samples decide alone
    /// (Kish 1965): (Σ m)² / Σ m², m the samples of each group, rounded down.
    pub count: usize,
}

impl Estimate {
    /// `value` seen in `count` trials. None of no trials, and of a value that is no share.
    pub fn new(value: f64, count: usize) -> Option<Self> {
        if count == 0 || !(0.0..=1.0).contains(&value) {
            return None;
        }
        const Z: f64 = 1.959_963_984_540_054;
        let n = count as f64;
        let shrink = 1.0 + Z * Z / n;
        let middle = (value + Z * Z / (2.0 * n)) / shrink;
        let half = Z / shrink
            * (value * (1.0 - value) / n + Z * Z / (4.0 * n * n))
                .max(0.0)
                .sqrt();
        let (low, high) = (
            (middle - half).clamp(0.0, value),
            (middle + half).clamp(value, 1.0),
        );
        Some(Estimate {
            value,
            low,
            high,
            count,
        })
    }

    /// The share of samples that are right, each told with its group. None of no samples.
    ///
    /// The interval holds two: that of the share of samples, of [`count`](Self::count) trials, and that of the mean of
    /// the groups' shares, of as many trials as groups. Where groups are of one size they are the same.
    pub fn of(samples: impl IntoIterator<Item = (bool, usize)>) -> Option<Self> {
        let mut groups: BTreeMap<usize, (u64, u64)> = BTreeMap::new();
        for (is_right, group) in samples {
            let (right, all) = groups.entry(group).or_default();
            *right += u64::from(is_right);
            *all += 1;
        }
        let sum = |of: fn(&(u64, u64)) -> u64| groups.values().map(of).sum::<u64>();
        let (right, all) = (sum(|group| group.0), sum(|group| group.1));
        let square = |x: u64| u128::from(x) * u128::from(x);
        let squares: u128 = groups.values().map(|group| square(group.1)).sum();
        let count = square(all) / squares.max(1);
        let of_samples = Estimate::new(right as f64 / all.max(1) as f64, count as usize)?;
        let means = groups
            .values()
            .map(|(right, all)| *right as f64 / *all as f64);
        let mean = means.sum::<f64>() / groups.len() as f64;
        let of_groups = Estimate::new(mean.min(1.0), groups.len())?;
        Some(Estimate {
            low: of_samples.low.min(of_groups.low),
            high: of_samples.high.max(of_groups.high),
            ..of_samples
        })
    }
}

impl std::fmt::Display for Estimate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:.1} % ({:.1} to {:.1})",
            100.0 * self.value,
            100.0 * self.low,
            100.0 * self.high
        )
    }
}
