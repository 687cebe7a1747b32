//! Answers of several classes that hold the right one as often as was asked for.

use regraft_tensor::Detail;

use crate::{Error, Result};

/// Answers with all classes that are probable enough: of samples like those that the head was solved with, the right
/// class is among them with probability 1 − α at least (conformal prediction: Vovk et al. 2005), however good the head
/// is. A poor head has to name many.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AnswerSet {
    /// A class of at least this probability is named.
    pub threshold: f64,
    /// The share of answers that may be without the right class.
    pub alpha: f64,
}

impl AnswerSet {
    /// From the probabilities of the labels of samples that were left out: the threshold is one less the
    /// ⌈(n + 1)(1 − α)⌉-th smallest of 1 − p. Of too few samples every class has to be named.
    pub(crate) fn new(mut of_labels: Vec<f64>, alpha: f64) -> Result<Self> {
        if !(alpha > 0.0 && alpha < 1.0) {
            let detail = Detail::new("answer_set, alpha", "a number between 0 and 1", alpha);
            return Err(Error::Setting(
                detail.help("0.1 for answers that are right 9 times of 10"),
            ));
        }
        of_labels.sort_by(|a, b| b.total_cmp(a));
        let rank = ((of_labels.len() + 1) as f64 * (1.0 - alpha) - 1e-9).ceil() as usize;
        let threshold = of_labels.get(rank.max(1) - 1).copied().unwrap_or(0.0);
        Ok(AnswerSet { threshold, alpha })
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
