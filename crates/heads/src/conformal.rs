//! Answers of several classes that hold the right one as often as was asked for.

use regraft_tensor::Detail;

use crate::known::shares;
use crate::{Error, Result};

/// Answers with all classes that are probable enough: of a sample of a new group, the right class is among them with
/// probability 1 − α at least (conformal prediction: Vovk et al. 2005; of samples in groups: Lee, Barber and Willett
/// 2023), however good the head is. A poor head has to name many.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AnswerSet {
    /// A class of at least this probability is named.
    pub threshold: f64,
    /// The share of answers that may be without the right class.
    pub alpha: f64,
}

impl AnswerSet {
    /// From the probabilities of the labels of samples that the head was not solved with, and the group of each.
    ///
    /// Those of a group count 1 together. The threshold is the largest probability such that those of at least as
    /// much count (n + 1)(1 − α) of the n groups: where each sample is alone one less the ⌈(n + 1)(1 − α)⌉-th smallest
    /// of 1 − p. Of too few groups every class has to be named.
    ///
    /// # Errors
    /// [`Error::Setting`] if `alpha` does not lie between 0 and 1, [`Error::Groups`] if they are of another number.
    pub fn new(of_labels: &[f64], groups: &[usize], alpha: f64) -> Result<Self> {
        if !(alpha > 0.0 && alpha < 1.0) {
            let detail = Detail::new("answer_set, alpha", "a number between 0 and 1", alpha);
            return Err(Error::Setting(
                detail.help("0.1 for answers that are right 9 times of 10"),
            ));
        }
        if groups.len() != of_labels.len() {
            let expected = format!("{}, one of each sample", of_labels.len());
            return Err(Error::Groups(Detail::new(
                "AnswerSet::new, groups",
                expected,
                groups.len(),
            )));
        }
        let (shares, count) = shares(groups);
        let mut sorted: Vec<(f64, f64)> = of_labels.iter().copied().zip(shares).collect();
        sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
        let goal = (count + 1) as f64 * (1.0 - alpha) - 1e-9;
        let mut reached = 0.0;
        let threshold = sorted.iter().find(|(_, share)| {
            reached += share;
            reached >= goal
        });
        Ok(AnswerSet {
            threshold: threshold.map_or(0.0, |(p, _)| *p),
            alpha,
        })
    }

    /// The classes that are named, the most probable first; that one always.
    pub fn answer(&self, probabilities: &[f32]) -> Vec<usize> {
        let mut classes: Vec<usize> = (0..probabilities.len()).collect();
        classes.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
        let named = classes
            .iter()
            .skip(1)
            .take_while(|&&k| f64::from(probabilities[k]) >= self.threshold);
        let count = 1 + named.count();
        classes.truncate(count);
        classes
    }
}
