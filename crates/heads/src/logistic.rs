//! Logistic regression to convergence, in the coordinates of the factorisation.
//!
//! The function is convex and its curvature never exceeds ½ XᵀX / n + λ (Böhning 1992), with which T is known: a solve
//! with ½ T / n + λ is the first guess of the inverse curvature in L-BFGS, so that tens of steps do. Along a direction
//! scores change linearly, so that a search along it needs no product with the features.

use std::sync::Arc;

use rayon::prelude::*;
use regraft_tensor::kernels::isa::Isa;
use regraft_tensor::{Detail, Tensor};

use crate::factor::{Factor, LANES, factorise};
use crate::known::Known;
use crate::left_out::{LeftOut, mean_log_loss};
use crate::numbers::{exp, ln};
use crate::product::{add_scaled, dot, tile};
use crate::ridge::{check_positive, no_number};
use crate::samples::{Options, Samples, shared_settings};
use crate::solved::{Choice, HeadKind, Solved};
use crate::{Error, Result};

/// Between which factors its scores become calibrated logits.
pub(crate) const SCALES: (f64, f64) = (0.05, 20.0);
/// Pairs of steps that L-BFGS remembers.
const MEMORY: usize = 10;
const STEPS: usize = 500;
/// Bytes of the solutions of all folds.
const LARGEST: usize = 1 << 30;
/// Panels of samples that one task takes.
const TASK: usize = 32;

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
    pub fn fit(&self, features: &Tensor, labels: &[i32]) -> Result<Solved> {
        if let Some(cs) = &self.penalties {
            check_positive("Logistic::cs", cs)?;
        }
        if self.folds < 2 {
            let detail = Detail::new("Logistic::folds", "2 or more", self.folds);
            return Err(Error::Setting(detail));
        }
        let samples = Arc::new(Samples::new(features, labels, &self.options)?);
        let factor = Arc::new(Factor::new(features, samples)?);
        self.solve(&factor)
    }

    pub(crate) fn solve(&self, factor: &Factor) -> Result<Solved> {
        let samples = &factor.samples;
        let problem = Problem::new(factor);
        // In the units of the factorisation: the variance of a feature is mean_square · rank / (n · width).
        let variance = factor.scatter().0 / (factor.total() * samples.width as f64);
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
        let mut states = vec![start; count];
        let mut tried = Vec::new();
        // From classes with a single group nothing can be learnt about C.
        let nothing = vec![0.0; samples.len() * samples.classes()];
        let mut best = (
            cs[cs.len() / 2],
            f64::INFINITY,
            nothing.clone(),
            problem.start(),
        );
        let mut worse = 0;
        for &c in cs.iter().filter(|_| known.any()) {
            let mut scores = nothing.clone();
            for (fold, state) in states.iter_mut().enumerate() {
                let counts: Vec<bool> = folds.iter().map(|&of| of != fold).collect();
                problem.minimise(state, &counts, c, 1e-5, self.steps);
                problem.write_scores(state, |i| folds[i] == fold, &mut scores);
            }
            // As it is: calibrated first, small C would look better in loss than in accuracy.
            let loss = mean_log_loss(samples, &scores, &known, 1.0);
            tried.push((c * unit, loss));
            if loss < best.1 {
                best = (c, loss, scores, states[0].clone());
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
            return Err(no_number(received));
        }
        let everything = vec![true; samples.len()];
        let converged = problem.minimise(&mut state, &everything, c, 1e-9, self.steps);
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

/// The fold of each sample: groups of a class one after the other, classes beginning at different folds. With
/// groups of several classes one goes where none of its classes is alone so far, and where the fewest of their groups are.
pub(crate) fn folds(samples: &Samples, count: usize) -> Vec<usize> {
    let mut fold = vec![0; samples.len()];
    let mut next: Vec<usize> = (0..samples.classes()).collect();
    // How many groups of each class are in each fold.
    let mut inside = vec![vec![0_usize; count]; samples.classes()];
    let mut placed = vec![0_usize; samples.classes()];
    for members in &samples.members {
        let classes = samples.classes_of(members);
        let of_class = &mut next[classes[0]];
        let first = *of_class;
        *of_class += 1;
        let costs = |place: usize| {
            let here = |class: &usize| inside[*class][place];
            let all_here = |class: &&usize| here(class) > 0 && here(class) == placed[**class];
            let only = classes.iter().filter(all_here).count();
            (only, classes.iter().map(here).max())
        };
        let place = (0..count)
            .map(|i| (first + i) % count)
            .min_by_key(|&place| costs(place))
            .expect("two folds or more");
        members.iter().for_each(|&i| fold[i] = place);
        for class in classes {
            inside[class][place] += 1;
            placed[class] += 1;
        }
    }
    fold
}

/// Samples in coordinates in which XᵀX is tridiagonal.
struct Problem<'a> {
    samples: &'a Samples,
    /// Panels of [`LANES`] samples; a row is a sample divided by its √w, so that it is a sample's own.
    panels: Vec<f64>,
    rank: usize,
    diagonal: Vec<f64>,
    beside: Vec<f64>,
    /// Where rows are of samples: the roots of D and L of T = L D Lᵀ.
    change: Option<(Vec<f64>, Vec<f64>)>,
    total: f64,
}

impl<'a> Problem<'a> {
    fn new(factor: &'a Factor) -> Self {
        let (diagonal, beside) = factor.tridiagonal();
        let rank = diagonal.len();
        let mut panels = factor.panels().to_vec();
        let (mut diagonal, mut beside) = (diagonal.to_vec(), beside.to_vec());
        let mut change = None;
        if !factor.by_features() {
            // X Xᵀ = Q L D Lᵀ Qᵀ: the rows of Q L √D have the same products as those of X.
            let largest = diagonal.iter().fold(0.0_f64, |a, &b| a.max(b));
            let (mut lower, mut roots) = (vec![0.0; rank], vec![0.0; rank]);
            let mut before = 0.0;
            for j in 0..rank {
                let mut pivot = diagonal[j];
                if j > 0 && before > 0.0 {
                    lower[j] = beside[j - 1] / before;
                    pivot -= lower[j] * beside[j - 1];
                }
                before = if pivot > largest * 1e-13 { pivot } else { 0.0 };
                roots[j] = before.sqrt();
            }
            panels.par_chunks_exact_mut(rank * LANES).for_each(|panel| {
                for j in 0..rank {
                    for lane in 0..LANES {
                        let next = if j + 1 < rank {
                            lower[j + 1] * panel[(j + 1) * LANES + lane]
                        } else {
                            0.0
                        };
                        panel[j * LANES + lane] = (panel[j * LANES + lane] + next) * roots[j];
                    }
                }
            });
            // √D Lᵀ L √D
            for j in 0..rank {
                let next = if j + 1 < rank { lower[j + 1] } else { 0.0 };
                diagonal[j] = roots[j] * roots[j] * (1.0 + next * next);
                if j + 1 < rank {
                    beside[j] = roots[j] * roots[j + 1] * next;
                }
            }
            change = Some((roots, lower));
        }
        for (p, panel) in panels.chunks_exact_mut(rank * LANES).enumerate() {
            let first = p * LANES;
            let scale: [f64; LANES] = std::array::from_fn(|lane| {
                if first + lane < factor.samples.len() {
                    1.0 / factor.root(first + lane)
                } else {
                    0.0
                }
            });
            if scale.iter().any(|&scale| scale != 1.0) {
                for row in panel.chunks_exact_mut(LANES) {
                    row.iter_mut()
                        .zip(&scale)
                        .for_each(|(x, scale)| *x *= scale);
                }
            }
        }
        let total = factor.total();
        Problem {
            samples: &factor.samples,
            panels,
            rank,
            diagonal,
            beside,
            change,
            total,
        }
    }

    /// Weights, a row of each coordinate and one of biases.
    fn start(&self) -> Vec<f64> {
        vec![0.0; (self.rank + 1) * self.padded()]
    }

    fn classes(&self) -> usize {
        self.samples.classes()
    }

    fn padded(&self) -> usize {
        self.classes().next_multiple_of(LANES)
    }

    /// Scores of every sample, a padded row of each.
    fn scores(&self, weights: &[f64], scores: &mut [f64]) {
        let (rank, padded) = (self.rank, self.padded());
        // Panels of columns.
        let mut columns = vec![0.0; rank * padded];
        for (panel, out) in columns.chunks_exact_mut(rank * LANES).enumerate() {
            for (j, out) in out.chunks_exact_mut(LANES).enumerate() {
                out.copy_from_slice(&weights[j * padded + panel * LANES..][..LANES]);
            }
        }
        let bias = &weights[rank * padded..];
        let isa = Isa::detect();
        scores
            .par_chunks_exact_mut(LANES * padded)
            .zip(self.panels.par_chunks_exact(rank * LANES))
            .for_each(|(scores, z)| {
                isa.run(
                    #[inline(always)]
                    || {
                        for (panel, columns) in columns.chunks_exact(rank * LANES).enumerate() {
                            let sums = tile::<LANES>(z, columns);
                            for (lane, sums) in sums.iter().enumerate() {
                                let at = panel * LANES;
                                let out = &mut scores[lane * padded + at..][..LANES];
                                for ((out, sum), bias) in out.iter_mut().zip(sums).zip(&bias[at..])
                                {
                                    *out = sum + bias;
                                }
                            }
                        }
                    },
                );
            });
    }

    fn write_scores(&self, state: &[f64], wanted: impl Fn(usize) -> bool, out: &mut [f64]) {
        let (classes, padded) = (self.classes(), self.padded());
        let mut scores = self.room();
        self.scores(state, &mut scores);
        for (i, out) in out
            .chunks_exact_mut(classes)
            .enumerate()
            .filter(|(i, _)| wanted(*i))
        {
            out.copy_from_slice(&scores[i * padded..][..classes]);
        }
    }

    fn room(&self) -> Vec<f64> {
        vec![0.0; self.samples.len().next_multiple_of(LANES) * self.padded()]
    }

    /// Loss and slope along `direction` at `scores + step · direction`, without the penalty; and, if there is room,
    /// the derivative by each score.
    fn along(
        &self,
        scores: &[f64],
        direction: &[f64],
        step: f64,
        counts: &[bool],
        mut derivative: Option<&mut [f64]>,
    ) -> (f64, f64) {
        let (classes, padded, n) = (self.classes(), self.padded(), self.samples.len());
        let size = TASK * LANES;
        let one = |first: usize, mut derivative: Option<&mut [f64]>| {
            let (mut loss, mut slope) = (0.0, 0.0);
            let mut p = vec![0.0; classes];
            for i in first..n.min(first + size) {
                let at = i * padded;
                if let Some(derivative) = &mut derivative {
                    derivative[(i - first) * padded..][..padded].fill(0.0);
                }
                if !counts[i] {
                    continue;
                }
                let (row, by) = (&scores[at..][..classes], &direction[at..][..classes]);
                let mut largest = f64::NEG_INFINITY;
                for ((p, score), by) in p.iter_mut().zip(row).zip(by) {
                    *p = score + step * by;
                    largest = largest.max(*p);
                }
                let label = self.samples.labels[i];
                let of_label = p[label] - largest;
                let mut sum = 0.0;
                for p in &mut p {
                    *p = exp(*p - largest);
                    sum += *p;
                }
                let weight = self.samples.weight(i) / self.total;
                loss += weight * (ln(sum) - of_label);
                let scale = weight / sum;
                for (k, p) in p.iter_mut().enumerate() {
                    *p = *p * scale - if k == label { weight } else { 0.0 };
                }
                slope += p.iter().zip(by).map(|(p, by)| p * by).sum::<f64>();
                if let Some(derivative) = &mut derivative {
                    derivative[(i - first) * padded..][..classes].copy_from_slice(&p);
                }
            }
            (loss, slope)
        };
        let parts: Vec<(f64, f64)> = match &mut derivative {
            Some(derivative) => derivative
                .par_chunks_mut(size * padded)
                .enumerate()
                .map(|(task, derivative)| one(task * size, Some(derivative)))
                .collect(),
            None => (0..n.div_ceil(size))
                .into_par_iter()
                .map(|task| one(task * size, None))
                .collect(),
        };
        parts
            .iter()
            .fold((0.0, 0.0), |sum, part| (sum.0 + part.0, sum.1 + part.1))
    }

    /// Xᵀ `derivative`, with a row for biases.
    fn gradient(&self, derivative: &[f64]) -> Vec<f64> {
        let (rank, padded) = (self.rank, self.padded());
        let isa = Isa::detect();
        let parts: Vec<Vec<f64>> = self
            .panels
            .par_chunks(rank * LANES * TASK)
            .zip(derivative.par_chunks(LANES * padded * TASK))
            .map(|(panels, derivative)| {
                let mut sums = vec![0.0; (rank + 1) * padded];
                isa.run(
                    #[inline(always)]
                    || {
                        let pairs = panels
                            .chunks_exact(rank * LANES)
                            .zip(derivative.chunks_exact(LANES * padded));
                        for (panel, derivative) in pairs {
                            let (z, _) = panel.as_chunks::<LANES>();
                            for column in (0..padded).step_by(LANES) {
                                let d: [[f64; LANES]; LANES] = std::array::from_fn(|lane| {
                                    let row = &derivative[lane * padded + column..][..LANES];
                                    std::array::from_fn(|k| row[k])
                                });
                                for (z, out) in z.iter().zip(sums.chunks_exact_mut(padded)) {
                                    let out = &mut out[column..][..LANES];
                                    let mut sum = [0.0; LANES];
                                    for lane in 0..LANES {
                                        for k in 0..LANES {
                                            sum[k] += z[lane] * d[lane][k];
                                        }
                                    }
                                    out.iter_mut().zip(sum).for_each(|(out, sum)| *out += sum);
                                }
                                let out = &mut sums[rank * padded + column..][..LANES];
                                for d in d {
                                    out.iter_mut().zip(d).for_each(|(out, d)| *out += d);
                                }
                            }
                        }
                    },
                );
                sums
            })
            .collect();
        let mut gradient = vec![0.0; (rank + 1) * padded];
        for part in &parts {
            gradient
                .iter_mut()
                .zip(part)
                .for_each(|(sum, part)| *sum += part);
        }
        gradient
    }

    /// Moves `state` to the minimum over the samples that count: until no element of the gradient exceeds `tolerance`
    /// of what it was at 0. False if that takes more steps than may be taken.
    fn minimise(
        &self,
        state: &mut [f64],
        counts: &[bool],
        c: f64,
        tolerance: f64,
        steps: usize,
    ) -> bool {
        let (rank, padded) = (self.rank, self.padded());
        let penalty = 1.0 / (c * self.total);
        let (lower, inverse) = factorise(&self.diagonal, &self.beside, 0.5 / self.total, penalty);
        // The curvature of biases is at most ½.
        let precondition = |gradient: &mut [f64]| {
            let (rows, biases) = gradient.split_at_mut(rank * padded);
            for j in 1..rank {
                let (above, row) = rows.split_at_mut(j * padded);
                add_scaled(&mut row[..padded], -lower[j], &above[(j - 1) * padded..]);
            }
            for j in (0..rank).rev() {
                let (row, below) = rows[j * padded..].split_at_mut(padded);
                row.iter_mut().for_each(|x| *x *= inverse[j]);
                if j + 1 < rank {
                    add_scaled(row, -lower[j + 1], &below[..padded]);
                }
            }
            biases.iter_mut().for_each(|x| *x *= 2.0);
        };
        let (mut scores, mut derivative, mut change) = (self.room(), self.room(), self.room());
        let zeros = self.room();
        let penalised = |weights: &[f64], gradient: &mut [f64]| {
            add_scaled(
                &mut gradient[..rank * padded],
                penalty,
                &weights[..rank * padded],
            );
        };
        let size = |gradient: &[f64]| gradient.iter().fold(0.0_f64, |a, &b| a.max(b.abs()));
        // How large the gradient is where all weights are 0.
        self.along(&zeros, &zeros, 0.0, counts, Some(&mut derivative));
        let goal = tolerance * size(&self.gradient(&derivative));

        self.scores(state, &mut scores);
        let (mut loss, _) = self.along(&scores, &zeros, 0.0, counts, Some(&mut derivative));
        let mut gradient = self.gradient(&derivative);
        penalised(state, &mut gradient);
        let mut memory: Vec<(Vec<f64>, Vec<f64>, f64)> = Vec::new();
        for _ in 0..steps {
            if size(&gradient) <= goal {
                return true;
            }
            // L-BFGS' two loops.
            let mut direction: Vec<f64> = gradient.iter().map(|x| -x).collect();
            let mut factors = Vec::with_capacity(memory.len());
            for (s, y, by) in memory.iter().rev() {
                let factor = dot(s, &direction) / by;
                add_scaled(&mut direction, -factor, y);
                factors.push(factor);
            }
            precondition(&mut direction);
            for ((s, y, by), factor) in memory.iter().zip(factors.iter().rev()) {
                let other = dot(y, &direction) / by;
                add_scaled(&mut direction, factor - other, s);
            }
            let mut slope = dot(&direction, &gradient);
            if slope >= 0.0 {
                // Rounding has spoilt what is remembered.
                if memory.is_empty() {
                    return true;
                }
                memory.clear();
                direction = gradient.iter().map(|x| -x).collect();
                precondition(&mut direction);
                slope = dot(&direction, &gradient);
            }
            self.scores(&direction, &mut change);
            let weights = ..rank * padded;
            let squares = [
                dot(&state[weights], &state[weights]),
                dot(&state[weights], &direction[weights]),
                dot(&direction[weights], &direction[weights]),
            ];
            // Strong Wolfe conditions along a convex function: its slope grows with the step.
            let (mut low, mut high) = (0.0, f64::INFINITY);
            let mut slope_low = slope;
            let start = loss + 0.5 * penalty * squares[0];
            let mut step = 1.0;
            for _ in 0..30 {
                let (value, by) = self.along(&scores, &change, step, counts, None);
                let value = value
                    + 0.5 * penalty * (squares[0] + step * (2.0 * squares[1] + step * squares[2]));
                let by = by + penalty * (squares[1] + step * squares[2]);
                // At the end differences of the loss are rounding alone; the slope still tells.
                let descends = value <= start + 1e-4 * step * slope
                    || (value - start).abs() <= 1e-13 * start.abs();
                if descends && by.abs() <= 0.9 * slope.abs() {
                    break;
                }
                if by > 0.0 || !descends {
                    // The slope's zero by the secant, not too near the ends.
                    high = step;
                    let zero = low
                        + (step - low) * slope_low / (slope_low - by.max(1e-3 * slope_low.abs()));
                    step = zero.clamp(low + 0.1 * (high - low), high - 0.1 * (high - low));
                } else {
                    (low, slope_low) = (step, by);
                    step = if high.is_finite() {
                        0.5 * (low + high)
                    } else {
                        4.0 * step
                    };
                }
            }
            add_scaled(&mut scores, step, &change);
            let before = std::mem::take(&mut gradient);
            add_scaled(state, step, &direction);
            (loss, _) = self.along(&scores, &zeros, 0.0, counts, Some(&mut derivative));
            gradient = self.gradient(&derivative);
            penalised(state, &mut gradient);
            let difference: Vec<f64> = gradient.iter().zip(&before).map(|(a, b)| a - b).collect();
            direction.iter_mut().for_each(|x| *x *= step);
            let by = dot(&direction, &difference);
            if by
                > 1e-14 * dot(&difference, &difference).sqrt() * dot(&direction, &direction).sqrt()
            {
                if memory.len() == MEMORY {
                    memory.remove(0);
                }
                memory.push((direction, difference, by));
            }
        }
        size(&gradient) <= goal
    }

    /// Kernel and bias for features as they were given.
    fn to_features(&self, factor: &Factor, state: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let (rank, padded, classes) = (self.rank, self.padded(), self.classes());
        let skip = factor.skipped();
        let mut rows = vec![0.0; classes * (skip + rank)];
        for (k, row) in rows.chunks_exact_mut(skip + rank).enumerate() {
            let mut after = 0.0;
            for j in (0..rank).rev() {
                let weight = state[j * padded + k];
                row[skip + j] = match &self.change {
                    None => weight,
                    // L⁻ᵀ D^−½
                    Some((roots, lower)) => {
                        let own = if roots[j] > 0.0 {
                            weight / roots[j]
                        } else {
                            0.0
                        };
                        let next = if j + 1 < rank { lower[j + 1] } else { 0.0 };
                        after = own - next * after;
                        after
                    }
                };
            }
        }
        let (kernel, mut bias) = factor.to_features(rows);
        for (k, bias) in bias.iter_mut().enumerate() {
            *bias += state[rank * padded + k] - factor.priors()[k];
        }
        (kernel, bias)
    }
}
