//! Ridge regression on one-hot targets, λ chosen by what the solutions say of groups that they have not seen.

use std::sync::Arc;

use crate::Result;
use crate::factor::{Blocks, Factor, Shift};
use crate::features::Features;
use crate::known::Known;
use crate::left_out::LeftOut;
use crate::options::{Options, shared_settings};
use crate::search::{Candidates, check_positive, search};
use crate::solved::{Choice, HeadKind, Solved};

/// Between which factors scores of about 0 and 1 become logits.
const SCALES: (f64, f64) = (0.5, 200.0);

/// Ridge regression: min Σᵢ wᵢ ‖yᵢ − b − Wᵀxᵢ‖² + λ ‖W‖², y one-hot, b free.
///
/// λ is the one of 25, from 10⁻⁴ to 10⁴ times the mean squared singular value of the centred features, for which the
/// squared error on left-out groups is least, those of a group counting one together: e_G = (1 − H_GG)⁻¹ (y − ŷ)_G,
/// which is what solving without the group would give, exactly. Scores become logits by a factor that is found on
/// left-out samples and kept in the weights.
///
/// ```
/// use regraft_heads::Ridge;
/// use regraft_tensor::Tensor;
///
/// let features = Tensor::new([6, 2], vec![0.0, 0.1, 0.2, 0.0, 0.1, 0.3, 1.0, 1.1, 0.9, 1.2, 1.1, 0.8])?;
/// let solved = Ridge::new().fit(&features, &[0, 0, 0, 1, 1, 1])?;
/// assert_eq!(solved.kernel().shape(), [2, 2]);
/// assert_eq!(solved.left_out().accuracy().unwrap().value, 1.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ridge {
    options: Options,
    lambdas: Option<Vec<f64>>,
}

impl Ridge {
    /// With λ looked for.
    pub fn new() -> Self {
        Self::default()
    }

    shared_settings!();

    /// The λ to choose from, in units of the mean squared singular value of the centred features. Default: 25 from
    /// 10⁻⁴ to 10⁴; of these every third is tried, and then the four beside the best.
    #[must_use]
    pub fn lambdas(mut self, lambdas: impl Into<Vec<f64>>) -> Self {
        self.lambdas = Some(lambdas.into());
        self
    }

    /// Solves for `features`, (samples, features), and a class label of each sample.
    ///
    /// # Errors
    /// [`Error::Features`](crate::Error::Features) without samples or features, with a number that is none, or if no
    /// feature differs between samples. [`Error::Labels`](crate::Error::Labels) if they are of another number, outside
    /// the classes, all of one class, or if a class has none. [`Error::Groups`](crate::Error::Groups) if they are of
    /// another number or all samples are in one. [`Error::Setting`](crate::Error::Setting) if a λ is not positive, or
    /// there is none to choose from. [`Error::Rounding`](crate::Error::Rounding) if no λ gives finite numbers.
    pub fn fit(&self, features: &dyn Features, labels: &[i32]) -> Result<Solved> {
        if let Some(lambdas) = &self.lambdas {
            check_positive("Ridge::lambdas", lambdas)?;
        }
        let factor = self.options.factor(features, labels)?;
        self.solve(factor)
    }

    pub(crate) fn solve(&self, factor: Arc<Factor>) -> Result<Solved> {
        let candidates = self
            .lambdas
            .clone()
            .map_or(Candidates::Search, Candidates::These);
        let (shift, tried) = choose(&factor, candidates)?;
        let errors = factor.errors_without(&shift, &Blocks::of_each_class(&factor.samples));
        let known = Known::by_groups(&factor.samples);
        let left_out = LeftOut::new(&factor.samples, &known, factor.scores(errors), SCALES);
        let (kernel, bias) = factor.weights(&shift);
        let choice = Choice {
            name: "lambda",
            value: factor.lambda(&shift),
            tried,
        };
        let solved = Solved::new(HeadKind::Ridge, kernel, bias, left_out, choice)?;
        Ok(solved.with_factor(factor, shift))
    }
}

/// The solution whose squared error on left-out groups is least, and what was tried.
fn choose(factor: &Factor, candidates: Candidates) -> Result<(Shift, Vec<(f64, f64)>)> {
    let samples = &factor.samples;
    let blocks = Blocks::groups(samples);
    // A burst of pictures must not decide alone.
    let known = Known::by_groups(samples);
    let (shift, mut tried) = search(factor, candidates, |shift| {
        let errors = factor.errors_without(&shift, &blocks);
        let (mut error, mut total) = (0.0, 0.0);
        let rows = errors.chunks_exact(samples.classes()).zip(known.shares());
        for (i, (errors, share)) in rows.enumerate().filter(|(_, (_, share))| **share > 0.0) {
            error += share * errors.iter().map(|error| error * error).sum::<f64>();
            total += share * samples.weight(i);
        }
        (shift, error / total)
    })?;
    tried
        .iter_mut()
        .for_each(|(ratio, _)| *ratio *= factor.unit_of_lambda());
    Ok((shift, tried))
}
