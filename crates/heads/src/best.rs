//! The head that says most about samples that it has not seen.

use regraft_tensor::Detail;

use crate::features::Features;
use crate::lda::Lda;
use crate::logistic::Logistic;
use crate::nearest_mean::NearestMean;
use crate::options::{Options, shared_settings};
use crate::ridge::Ridge;
use crate::solved::{HeadKind, Solved};
use crate::{Error, Result};

/// Samples of each class up to which the nearest mean is tried.
const FEW: usize = 10;

/// Solves several heads and takes the one with the least log-loss on what was left out; [`Solved::compared`] tells
/// all of them.
///
/// [`Ridge`], [`Lda`] and [`Logistic`] are tried, and [`NearestMean`] where a class has 10 samples or fewer. All but
/// the last need the same factorisation; logistic regression takes most of the time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BestHead {
    options: Options,
    quick: bool,
}

impl BestHead {
    /// Of all heads.
    pub fn new() -> Self {
        Self::default()
    }

    shared_settings!();

    /// Without logistic regression, which is the only one that takes steps.
    #[must_use]
    pub fn quick(mut self) -> Self {
        self.quick = true;
        self
    }

    /// Solves for `features`, (samples, features), and a class label of each sample.
    ///
    /// # Errors
    /// As [`Ridge::fit`].
    pub fn fit(&self, features: &dyn Features, labels: &[i32]) -> Result<Solved> {
        Ok(self.fit_all(features, labels)?.swap_remove(0))
    }

    /// As [`fit`](Self::fit), all heads that were compared, the best first: of a ridge solution among them
    /// [`Solved::unknown`] can be asked, though another head is better. Each holds what it was solved with.
    ///
    /// # Errors
    /// As [`Ridge::fit`].
    pub fn fit_all(&self, features: &dyn Features, labels: &[i32]) -> Result<Vec<Solved>> {
        let factor = self.options.factor(features, labels)?;
        let samples = &factor.samples;
        let solve = |kind: HeadKind| match kind {
            HeadKind::Ridge => Ridge::new().solve(factor.clone()),
            HeadKind::Lda => Lda::new().solve(&factor, features),
            HeadKind::Logistic => Logistic::new().solve(&factor),
            HeadKind::NearestMean => NearestMean::new().solve(samples, features),
        };
        BestHead::compare(self.kinds(&samples.counts).into_iter().map(solve))
    }

    /// The heads that are tried on classes of so many samples.
    pub fn kinds(&self, counts: &[usize]) -> Vec<HeadKind> {
        let mut kinds = vec![HeadKind::Ridge, HeadKind::Lda];
        if !self.quick {
            kinds.push(HeadKind::Logistic);
        }
        if counts.iter().any(|&count| count <= FEW) {
            kinds.push(HeadKind::NearestMean);
        }
        kinds
    }

    /// Heads of the same samples, the best first, each with what all of them were compared by. One that has no solution is
    /// not compared: where nothing differs within a class there is no discriminant analysis.
    ///
    /// # Errors
    /// The first, if none has a solution.
    pub fn compare(results: impl IntoIterator<Item = Result<Solved>>) -> Result<Vec<Solved>> {
        let (mut heads, mut errors) = (Vec::new(), Vec::new());
        for result in results {
            match result {
                Ok(head) => {
                    heads.push((head.left_out().log_loss().unwrap_or(f64::INFINITY), head));
                }
                // Not for want of a solution: the comparison would be another one.
                Err(error @ Error::File(_)) => return Err(error),
                Err(error) => errors.push(error),
            }
        }
        if heads.is_empty() {
            return Err(match errors.is_empty() {
                false => errors.swap_remove(0),
                true => Error::Setting(Detail::new("heads to compare", "one or more", "none")),
            });
        }
        heads.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let compared: Vec<_> = heads
            .iter()
            .map(|(loss, head)| (head.kind(), *loss))
            .collect();
        let heads = heads.into_iter();
        Ok(heads
            .map(|(_, head)| head.compared_with(compared.clone()))
            .collect())
    }
}
