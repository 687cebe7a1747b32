//! Of which samples something is said when they are left out, and how much each of them counts.

use std::collections::HashMap;

use crate::samples::Samples;

/// The samples of whose class something remained when they were left out. Samples of a group say the same over and
/// over, so each counts one of so many as its group has of them: a burst of a hundred pictures is one witness.
pub(crate) struct Known {
    shares: Vec<f64>,
    groups: usize,
}

impl Known {
    /// Where no group was left out together with another one of its classes.
    pub fn by_groups(samples: &Samples) -> Self {
        Known::new(samples, |i| samples.known(i))
    }

    /// Where the samples of a fold were left out together.
    pub fn by_folds(samples: &Samples, folds: &[usize]) -> Self {
        // The fold of each class, if it is in one only.
        let mut only: Vec<Option<Option<usize>>> = vec![None; samples.classes()];
        for (&label, &fold) in samples.labels.iter().zip(folds) {
            only[label] = match only[label] {
                None => Some(Some(fold)),
                Some(seen) => Some(seen.filter(|&seen| seen == fold)),
            };
        }
        Known::new(samples, |i| only[samples.labels[i]] == Some(None))
    }

    fn new(samples: &Samples, known: impl Fn(usize) -> bool) -> Self {
        let places: Vec<usize> = (0..samples.len()).filter(|&i| known(i)).collect();
        let groups: Vec<usize> = places.iter().map(|&i| samples.groups[i]).collect();
        let (of_known, groups) = shares(&groups);
        let mut shares = vec![0.0; samples.len()];
        for (&i, share) in places.iter().zip(of_known) {
            shares[i] = share;
        }
        Known { shares, groups }
    }

    /// Whether something is said of any.
    pub fn any(&self) -> bool {
        self.groups > 0
    }

    /// Groups with a known sample.
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// How much each sample counts, by position: those of a group 1 together, those that are not known 0.
    pub fn shares(&self) -> &[f64] {
        &self.shares
    }
}

/// How much each counts so that those of a group count 1 together; and the number of groups.
pub(crate) fn shares(groups: &[usize]) -> (Vec<f64>, usize) {
    let mut counts: HashMap<usize, usize> = HashMap::new();
    for &group in groups {
        *counts.entry(group).or_default() += 1;
    }
    let share = |group| 1.0 / counts[group] as f64;
    (groups.iter().map(share).collect(), counts.len())
}
