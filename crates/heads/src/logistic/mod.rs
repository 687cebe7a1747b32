//! Logistic regression to convergence, in the coordinates of the factorisation.
//!
//! The function is convex and its curvature never exceeds ½ XᵀX / n + λ (Böhning 1992), with which T is known: a solve
//! with ½ T / n + λ is the first guess of the inverse curvature in L-BFGS, so that tens of steps do. Along a direction
//! scores change linearly, so that a search along it needs no product with the features.

mod folds;
mod minimise;
mod problem;

use regraft_tensor::Detail;

pub(crate) use folds::folds;
use problem::Problem;

use crate::factor::Factor;
use crate::features::Features;
use crate::known::Known;
use crate::left_out::{LeftOut, mean_log_loss};
use crate::options::{Options, shared_settings};
use crate::search::check_positive;
use crate::solved::{Choice, HeadKind, Solved};
use crate::{Error, Result};

/// Between which factors its scores become calibrated logits.
const SCALES: (f64, f64) = (0.05, 20.0);
const STEPS: usize = 500;
/// Bytes of the solutions of all folds.
const LARGEST: usize = 1 << 30;

/// Multinomial logistic regression: min C Σᵢ wᵢ · −ln pᵢ + ½ ‖W‖², the bias free; scikit-learn's formula.
///
/// C is the one for which the log-loss on folds of groups that were left out is least, tried upwards from 10⁻³ to 10
/// (of features divided by their one standard deviation) with each solution as the start of the next, until it has
/// become worse twice. What the folds say is the estimate: unlike [`Ridge`](crate::Ridge)'s it is of solutions without
/// a fifth of the samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Logistic {
    options: Options,
    penalties: Option<Vec<f64>>,
    folds: usize,
    /// How many may be taken.
    pub(crate) steps: usize,
}

impl Default for Logistic {
    fn default() -> Self {
        Logistic {
            options: Options::default(),
            penalties: None,
            folds: 5,
            steps: STEPS,
        }
    }
}

impl Logistic {
    /// With C looked for in five folds.
    pub fn new() -> Self {
        Self::default()
    }

    shared_settings!();

    /// The C to choose from, in the units of the features. Default: 10⁻³ to 10 by tens, of features divided by their
    /// standard deviation.
    #[must_use]
    pub fn cs(mut self, cs: impl Into<Vec<f64>>) -> Self {
        self.penalties = Some(cs.into());
        self
    }

    /// Into how many parts groups are divided, each left out once; with as many as groups or more each is left out
    /// alone. Default: 5.
    #[must_use]
    pub fn folds(mut self, folds: usize) -> Self {
        self.folds = folds;
        self
    }

    /// Solves for `features`, (samples, features), and a class label of each sample.
    ///
    /// # Errors
    /// As [`Ridge::fit`](crate::Ridge::fit); [`Error::Setting`] if a C is not positive, or there are fewer than two
    /// folds; [`Error::Memory`] if the solutions of all folds would be larger than 1 GiB.
    pub fn fit(&self, features: &dyn Features, labels: &[i32]) -> Result<Solved> {
        if let Some(cs) = &self.penalties {
            check_positive("Logistic::cs", cs)?;
        }
        if self.folds < 2 {
            let detail = Detail::new("Logistic::folds", "2 or more", self.folds);
            return Err(Error::Setting(detail));
        }
        let factor = self.options.factor(features, labels)?;
        self.solve(&factor)
    }

    pub(crate) fn solve(&self, factor: &Factor) -> Result<Solved> {
        let samples = &factor.samples;
        let problem = Problem::new(factor);
        // In the units of the factorisation: the variance of a feature is mean_square · rank / (n · width).
        let variance = factor.scatter().0 / (samples.total() * samples.width as f64);
        let unit = factor.unit() * factor.unit();
        let cs: Vec<f64> = match &self.penalties {
            Some(cs) => cs.iter().map(|c| c / unit).collect(),
            None => [1e-3, 1e-2, 1e-1, 1.0, 10.0]
                .iter()
                .map(|c| c / variance)
                .collect(),
        };
        let count = self.folds.min(samples.members.len());
        let start = problem.start();
        let bytes = start.len().saturating_mul(count).saturating_mul(8);
        if bytes > LARGEST {
            let expected = format!("solutions of {} MiB at most", LARGEST >> 20);
            let received = format!("{} MiB for {count} folds", bytes >> 20);
            return Err(Error::Memory(
                Detail::new("Logistic::folds", expected, received)
                    .help("take fewer folds, or Ridge, which leaves each group out at no cost"),
            ));
        }
        let folds = folds(samples, count);
        let known = Known::by_folds(samples, &folds);
        let rest = |fold: usize| -> Vec<bool> { folds.iter().map(|&of| of != fold).collect() };
        // From classes with a single group nothing can be learnt about C.
        let tested = if known.any() { count } else { 0 };
        // The weights without each fold, and how flat the loss must be there.
        let mut states: Vec<(Vec<f64>, f64)> = (0..tested)
            .map(|fold| (start.clone(), 1e-5 * problem.steepness(&rest(fold))))
            .collect();
        let mut tried = Vec::new();
        let nothing = vec![0.0; samples.len() * samples.classes()];
        let mut best = (cs[cs.len() / 2], f64::INFINITY, nothing.clone(), start);
        let mut worse = 0;
        for &c in cs.iter().filter(|_| known.any()) {
            let mut scores = nothing.clone();
            for (fold, (state, goal)) in states.iter_mut().enumerate() {
                problem.minimise(state, &rest(fold), c, *goal, self.steps);
                problem.write_scores(state, |i| folds[i] == fold, &mut scores);
            }
            // As it is: calibrated first, small C would look better in loss than in accuracy.
            let loss = mean_log_loss(samples, &scores, &known, 1.0);
            tried.push((c * unit, loss));
            if loss < best.1 {
                best = (c, loss, scores, states[0].0.clone());
                worse = 0;
            } else {
                worse += 1;
                if worse == 2 && self.penalties.is_none() {
                    break;
                }
            }
        }
        let (c, loss, scores, mut state) = best;
        if known.any() && loss == f64::INFINITY {
            let received = format!("none with any of the {} that were tried", tried.len());
            return Err(Error::no_number(received));
        }
        let everything = vec![true; samples.len()];
        let goal = 1e-9 * problem.steepness(&everything);
        let converged = problem.minimise(&mut state, &everything, c, goal, self.steps);
        let left_out = LeftOut::new(samples, &known, scores, SCALES);
        let (kernel, bias) = problem.to_features(factor, &state);
        let choice = Choice {
            name: "C",
            value: c * unit,
            tried,
        };
        let solved = Solved::new(HeadKind::Logistic, kernel, bias, left_out, choice)?;
        Ok(solved.converged_if(converged))
    }
}
