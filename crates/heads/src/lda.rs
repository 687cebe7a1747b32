//! Linear discriminant analysis from the ridge solution, with its exact leave-out scores.
//!
//! With S the scatter within classes, N the classes' weights and F(x) the ridge scores for λ less the shares of classes,
//! J = Yᵀ(1 − H)Y + N1 1ᵀN / Σw gives (S + λ)⁻¹ M = W J⁻¹ (M the class means, W the ridge kernel), by Woodbury's
//! formula. Leaving a block out takes r ᵀe of its residuals and errors from J. So all of it needs K × K matrices only.

use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;
use regraft_tensor::Detail;

use crate::cholesky;
use crate::factor::{Blocks, Factor, Shift};
use crate::features::{Features, if_there};
use crate::known::Known;
use crate::left_out::{LeftOut, best_scale, mean_log_loss};
use crate::numbers::ln;
use crate::options::{Options, shared_settings};
use crate::product::identity;
use crate::samples::Samples;
use crate::search::{Candidates, search};
use crate::solved::{Choice, HeadKind, Solved};
use crate::{Error, Result};

/// Between which factors logits are looked for.
const SCALES: (f64, f64) = (0.005, 20.0);

/// Linear discriminant analysis: classes of one covariance Σ = (1 − γ) S + γ tr(S)/D · 1 with S that within classes.
///
/// γ is the one of 25 for which the log-loss on left-out groups, one of each class, is least, with λ = γ tr(S) /
/// ((1 − γ) D) from 10⁻⁴ to 10⁴ times the mean squared singular value; or one's own; or Ledoit and Wolf's. What is
/// left out is left out exactly, at the same λ. Take it where classes are unequal in size and few features of many
/// samples matter; it is often as good as [`Ridge`](crate::Ridge).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lda {
    options: Options,
    shrinkage: Shrinkage,
}

#[derive(Clone, Debug, Default, PartialEq)]
enum Shrinkage {
    #[default]
    Search,
    Of(Vec<f64>),
    LedoitWolf,
}

impl Lda {
    /// With γ looked for.
    pub fn new() -> Self {
        Self::default()
    }

    shared_settings!();

    /// The γ to choose from, between 0 and 1.
    #[must_use]
    pub fn shrinkages(mut self, shrinkages: impl Into<Vec<f64>>) -> Self {
        self.shrinkage = Shrinkage::Of(shrinkages.into());
        self
    }

    /// γ by Ledoit and Wolf's formula (2004), which needs no search.
    #[must_use]
    pub fn ledoit_wolf(mut self) -> Self {
        self.shrinkage = Shrinkage::LedoitWolf;
        self
    }

    /// Solves for `features`, (samples, features), and a class label of each sample.
    ///
    /// # Errors
    /// As [`Ridge::fit`](crate::Ridge::fit); [`Error::Setting`] if a γ does not lie between 0 and 1. [`Error::Features`]
    /// if no feature differs within a class.
    pub fn fit(&self, features: &dyn Features, labels: &[i32]) -> Result<Solved> {
        if let Shrinkage::Of(shrinkages) = &self.shrinkage {
            let inside = |gamma: &f64| *gamma > 0.0 && *gamma < 1.0;
            if shrinkages.is_empty() || !shrinkages.iter().all(inside) {
                let received = format!("{shrinkages:?}");
                return Err(Error::Setting(
                    Detail::new("Lda::shrinkages", "numbers between 0 and 1", received)
                        .help("leave the setting away to have it chosen"),
                ));
            }
        }
        let factor = self.options.factor(features, labels)?;
        self.solve(&factor, features)
    }

    pub(crate) fn solve(&self, factor: &Factor, features: &dyn Features) -> Result<Solved> {
        let samples = &factor.samples;
        let within = Within::new(factor)?;
        let blocks = Blocks::of_each_class(samples);
        let known = Known::by_groups(samples);
        let candidates = match &self.shrinkage {
            Shrinkage::Search => None,
            Shrinkage::Of(gammas) => Some(
                gammas
                    .iter()
                    .map(|&gamma| within.ratio(factor, gamma))
                    .collect(),
            ),
            Shrinkage::LedoitWolf => {
                let gamma = ledoit_wolf(features, samples, factor, &within)?;
                Some(vec![within.ratio(factor, gamma)])
            }
        };
        let candidates = candidates.map_or(Candidates::Search, Candidates::These);
        let mut least = f64::INFINITY;
        let (solution, tried) = search(factor, candidates, |shift| {
            let mut solution = Solution::new(factor, &shift, &within, &blocks);
            let scale = best_scale(samples, &solution.scores, &known, SCALES);
            let mut loss = mean_log_loss(samples, &solution.scores, &known, scale);
            // The weights of one that will not be taken are not looked at: they cost as much as the scores. The first
            // is taken where nothing can be learnt about losses.
            if loss < least || !least.is_finite() {
                solution.solve(factor, &shift);
                match solution.is_finite() {
                    true => least = least.min(loss),
                    false => loss = f64::NAN,
                }
            }
            (solution, loss)
        })?;
        let left_out = LeftOut::new(samples, &known, solution.scores, SCALES);
        let tried = tried
            .into_iter()
            .map(|(ratio, loss)| (within.gamma(factor, ratio), loss))
            .collect();
        let choice = Choice {
            name: "gamma",
            value: solution.gamma,
            tried,
        };
        Solved::new(
            HeadKind::Lda,
            solution.kernel,
            solution.bias,
            left_out,
            choice,
        )
    }
}

/// The scatter within classes.
struct Within {
    trace: f64,
    width: f64,
}

impl Within {
    fn new(factor: &Factor) -> Result<Self> {
        let (all, of_means) = factor.scatter();
        let trace = all - of_means;
        if trace <= all * 1e-12 {
            let help = "with one sample of each class, or copies of it, take Ridge or NearestMean";
            let expected = "features that differ within a class";
            let detail = Detail::new("features", expected, "none that does").help(help);
            return Err(Error::Features(detail));
        }
        Ok(Within {
            trace,
            width: factor.samples.width as f64,
        })
    }

    fn ratio(&self, factor: &Factor, gamma: f64) -> f64 {
        gamma * self.trace / ((1.0 - gamma) * self.width) / factor.mean_square()
    }

    fn gamma(&self, factor: &Factor, ratio: f64) -> f64 {
        let odds = ratio * factor.mean_square() * self.width / self.trace;
        odds / (1.0 + odds)
    }
}

/// λ for a γ, and the scores of samples without their blocks.
#[cfg(test)]
pub(crate) fn left_out_scores(factor: &Factor, gamma: f64) -> Result<(f64, Vec<f64>)> {
    let within = Within::new(factor)?;
    let shift = factor.shift(within.ratio(factor, gamma));
    let blocks = Blocks::of_each_class(&factor.samples);
    Ok((
        factor.lambda(&shift),
        Solution::new(factor, &shift, &within, &blocks).scores,
    ))
}

/// For one γ.
struct Solution {
    gamma: f64,
    /// Of all samples.
    discriminants: Discriminants,
    /// Empty until [`solve`](Self::solve).
    kernel: Vec<f64>,
    bias: Vec<f64>,
    /// Of samples without their blocks, by position.
    scores: Vec<f64>,
}

impl Solution {
    fn is_finite(&self) -> bool {
        self.kernel.iter().chain(&self.bias).all(|x| x.is_finite())
    }

    fn new(factor: &Factor, shift: &Shift, within: &Within, blocks: &Blocks) -> Self {
        let (samples, classes) = (&factor.samples, factor.samples.classes());
        let gamma = within.gamma(factor, shift.ratio);
        let left = factor.left_of_targets(shift);
        let weights = factor.class_totals();
        let all = Discriminants::new(&left, &weights, gamma);

        let (residuals, errors) = factor.residuals_and_errors(shift, blocks);
        let row = |of: &'_ [f64], i: usize| of[i * classes..][..classes].to_vec();
        let mut scores = vec![0.0; samples.len() * classes];
        blocks.write(1, &mut scores, classes, |members| {
            let (mut left, mut weights) = (left.clone(), weights.clone());
            for &i in members {
                let (r, e) = (row(&residuals, i), row(&errors, i));
                for a in 0..classes {
                    for b in 0..classes {
                        left[a * classes + b] -= 0.5 * (r[a] * e[b] + e[a] * r[b]);
                    }
                }
                weights[samples.labels[i]] -= samples.weight(i);
            }
            let discriminants = Discriminants::new(&left, &weights, gamma);
            let mut scores = Vec::with_capacity(members.len() * classes);
            for &i in members {
                let mut f = row(&errors, i);
                for (k, f) in f.iter_mut().enumerate() {
                    *f = factor.score(i, k, *f) - discriminants.priors[k];
                }
                scores.extend(discriminants.scores(&f));
            }
            scores
        });

        Solution {
            gamma,
            discriminants: all,
            kernel: Vec::new(),
            bias: Vec::new(),
            scores,
        }
    }

    /// Kernel and bias.
    fn solve(&mut self, factor: &Factor, shift: &Shift) {
        let (ridge, ridge_bias) = factor.weights(shift);
        let rows = ridge.chunks_exact(factor.samples.classes());
        self.kernel = rows
            .flat_map(|row| self.discriminants.directions(row))
            .collect();
        let centred: Vec<f64> = ridge_bias
            .iter()
            .zip(factor.priors())
            .map(|(b, prior)| b - prior)
            .collect();
        self.bias = self.discriminants.scores(&centred);
    }
}

/// From ridge scores less the shares of classes to discriminants.
struct Discriminants {
    /// J⁻¹, times Σw / (1 − γ).
    inverse: Vec<f64>,
    /// What does not depend on the sample.
    constants: Vec<f64>,
    priors: Vec<f64>,
}

impl Discriminants {
    fn new(left: &[f64], weights: &[f64], gamma: f64) -> Self {
        let classes = weights.len();
        let total: f64 = weights.iter().map(|weight| weight.max(0.0)).sum();
        // Weights are sums of differences: a class that is gone may leave a trace.
        let gone = |k: usize| weights[k] <= 1e-9 * total;
        let mut j = left.to_vec();
        for a in 0..classes {
            for b in 0..classes {
                let element = &mut j[a * classes + b];
                *element += weights[a] * weights[b] / total;
                if gone(a) || gone(b) {
                    *element = if a == b { 1.0 } else { 0.0 };
                }
            }
        }
        let mut inverse = identity(classes);
        // Without rounding J is positive definite; such a solution must not be taken.
        cholesky::factorise_and_solve(&mut j, classes, &mut inverse, classes);
        let scale = total / (1.0 - gamma);
        let constants = (0..classes)
            .map(|k| match gone(k) {
                true => f64::NEG_INFINITY,
                false => {
                    let length = inverse[k * classes + k] - 1.0 / weights[k];
                    ln(weights[k] / total) - 0.5 * scale * length
                }
            })
            .collect();
        inverse.iter_mut().for_each(|value| *value *= scale);
        for k in (0..classes).filter(|&k| gone(k)) {
            inverse[k * classes..][..classes].fill(0.0);
        }
        let priors = weights.iter().map(|weight| weight / total).collect();
        Discriminants {
            inverse,
            constants,
            priors,
        }
    }

    fn directions(&self, f: &[f64]) -> Vec<f64> {
        let rows = self.inverse.chunks_exact(f.len());
        rows.map(|row| row.iter().zip(f).map(|(a, f)| a * f).sum())
            .collect()
    }

    fn scores(&self, f: &[f64]) -> Vec<f64> {
        let directions = self.directions(f);
        let mut scores: Vec<f64> = directions
            .iter()
            .zip(&self.constants)
            .map(|(score, constant)| score + constant)
            .collect();
        // A class that is gone is less probable than all others.
        let least = scores
            .iter()
            .filter(|score| score.is_finite())
            .fold(f64::INFINITY, |a, &b| a.min(b));
        scores
            .iter_mut()
            .filter(|score| **score == f64::NEG_INFINITY)
            .for_each(|score| *score = least - 10.0);
        scores
    }
}

/// γ by Ledoit and Wolf's formula, of features less their class means, which have a mean of 0.
fn ledoit_wolf(
    features: &dyn Features,
    samples: &Samples,
    factor: &Factor,
    within: &Within,
) -> Result<f64> {
    let (n, width) = (samples.len() as f64, within.width);
    let unit = factor.unit();
    // Σ |x − m|⁴, in the factorisation's units.
    let columns = samples.width;
    let all_there = AtomicBool::new(true);
    let read = |i: usize, row: &mut [f32]| {
        if !features.read(samples.order[i], row) {
            all_there.store(false, Ordering::Relaxed);
        }
    };
    let mut row = vec![0.0; columns];
    let mut means = vec![vec![0.0; columns]; samples.classes()];
    for i in 0..samples.len() {
        let label = samples.labels[i];
        let share = 1.0 / samples.counts[label] as f64;
        read(i, &mut row);
        means[label]
            .iter_mut()
            .zip(&row)
            .for_each(|(mean, x)| *mean += share * f64::from(*x));
    }
    let squares: Vec<f64> = (0..samples.len())
        .into_par_iter()
        .map_init(
            || vec![0.0; columns],
            |row, i| {
                let mean = &means[samples.labels[i]];
                read(i, row);
                let square: f64 = row
                    .iter()
                    .zip(mean)
                    .map(|(x, mean)| (f64::from(*x) - mean) * (f64::from(*x) - mean))
                    .sum();
                square * unit * unit * samples.weight(i)
            },
        )
        .collect();
    if_there(all_there)?;
    let fourth: f64 = squares.iter().map(|square| square * square).sum();
    let square_of_s = factor.square_within() / (n * n);
    let mu = within.trace / n / width;
    let beta = (fourth / n - square_of_s) / (width * n);
    let delta = (square_of_s - 2.0 * mu * within.trace / n + width * mu * mu) / width;
    let gamma = if delta > 0.0 {
        beta.min(delta) / delta
    } else {
        1.0
    };
    Ok(gamma.clamp(1e-6, 1.0 - 1e-6))
}
