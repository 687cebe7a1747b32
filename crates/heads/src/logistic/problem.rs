//! The loss of logistic regression and its gradient, in coordinates in which XᵀX is tridiagonal.

use rayon::prelude::*;
use regraft_tensor::kernels::isa::Isa;

use crate::factor::{Factor, LANES, below};
use crate::numbers::{exp, ln};
use crate::product::{sum_of, tile};
use crate::samples::Samples;

/// Panels of samples that one task takes.
const TASK: usize = 32;

/// Samples in coordinates in which XᵀX is tridiagonal.
pub(super) struct Problem<'a> {
    samples: &'a Samples,
    /// Panels of [`LANES`] samples; a row is a sample divided by its √w, so that it is a sample's own.
    panels: Vec<f64>,
    pub(super) rank: usize,
    pub(super) diagonal: Vec<f64>,
    pub(super) beside: Vec<f64>,
    /// Where rows are of samples: the roots of D and L of T = L D Lᵀ.
    change: Option<(Vec<f64>, Vec<f64>)>,
    pub(super) total: f64,
}

impl<'a> Problem<'a> {
    pub(super) fn new(factor: &'a Factor) -> Self {
        let (diagonal, beside) = factor.tridiagonal();
        let rank = diagonal.len();
        let mut panels = factor.all_panels();
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
                let next = below(&lower, j);
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
        Problem {
            samples: &factor.samples,
            panels,
            rank,
            diagonal,
            beside,
            change,
            total: factor.samples.total(),
        }
    }

    /// Weights, a row of each coordinate and one of biases.
    pub(super) fn start(&self) -> Vec<f64> {
        vec![0.0; (self.rank + 1) * self.padded()]
    }

    fn classes(&self) -> usize {
        self.samples.classes()
    }

    pub(super) fn padded(&self) -> usize {
        self.classes().next_multiple_of(LANES)
    }

    /// Scores of every sample, a padded row of each.
    pub(super) fn scores(&self, weights: &[f64], scores: &mut [f64]) {
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

    pub(super) fn write_scores(
        &self,
        state: &[f64],
        wanted: impl Fn(usize) -> bool,
        out: &mut [f64],
    ) {
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

    pub(super) fn room(&self) -> Vec<f64> {
        vec![0.0; self.samples.len().next_multiple_of(LANES) * self.padded()]
    }

    /// Loss and slope along `direction` at `scores + step · direction`, without the penalty; and, if there is room,
    /// the derivative by each score.
    pub(super) fn along(
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
    pub(super) fn gradient(&self, derivative: &[f64]) -> Vec<f64> {
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
        sum_of(&parts, (rank + 1) * padded)
    }

    /// Kernel and bias for features as they were given.
    pub(super) fn to_features(&self, factor: &Factor, state: &[f64]) -> (Vec<f64>, Vec<f64>) {
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
                        after = own - below(lower, j) * after;
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
