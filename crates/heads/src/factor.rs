//! One factorisation of the features, from which the ridge solutions of all λ follow, with what each would say of
//! samples that it had not seen.
//!
//! Features are centred by their (weighted) mean, rows scaled by √w. With A = X Xᵀ or Xᵀ X, whichever is smaller,
//! A = Q T Qᵀ. In the coordinates of Q, with T + λ = L D Lᵀ and y = L⁻¹ z for a sample's row z:
//!
//! | | features ≤ samples − 1 | otherwise |
//! |---|---|---|
//! | A | Xᵀ X | X Xᵀ, without the direction of the means |
//! | z of sample i | row i of X Q | row i of Q |
//! | y D⁻¹ yᵀ | the leverage of i, less that of the mean | (1 − leverage) / λ |
//! | y D⁻¹ L⁻¹ Zᵀ Y | what is predicted for i | the residual of i, by λ |

use std::sync::Arc;

use rayon::prelude::*;
use regraft_tensor::kernels::isa::Isa;
use regraft_tensor::{Detail, Tensor};

use crate::cholesky;
use crate::product::{Part, View, add_product, dot, tile};
use crate::samples::Samples;
use crate::tridiagonal::Tridiagonal;
use crate::{Error, Result};

/// Samples that lie interleaved in a panel.
pub(crate) const LANES: usize = 8;
/// Rows that one task sums.
const CHUNK: usize = 256;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Features,
    Samples,
}

pub(crate) struct Factor {
    pub samples: Arc<Samples>,
    side: Side,
    tridiagonal: Tridiagonal,
    /// T, where it matters.
    diagonal: Vec<f64>,
    beside: Vec<f64>,
    /// The samples' rows in Q's coordinates: panels of [`LANES`] samples, coordinate by coordinate.
    panels: Vec<f64>,
    /// Zᵀ Y, a row of each coordinate; Y has centred one-hot rows times √w.
    targets: Vec<f64>,
    /// √w, by position.
    roots: Vec<f64>,
    /// √(w / Σ w), by position.
    shares: Vec<f64>,
    /// Mean of each feature.
    means: Vec<f64>,
    /// Share of each class.
    priors: Vec<f64>,
    /// Features were multiplied by it.
    unit: f64,
    /// The centred, scaled features, where they are needed once more.
    centred: Vec<f64>,
}

/// The solution for one λ.
pub(crate) struct Shift {
    /// In units of the squared singular values' mean.
    pub ratio: f64,
    lambda: f64,
    /// L beside its diagonal of ones.
    lower: Vec<f64>,
    /// D⁻¹
    inverse: Vec<f64>,
    /// D⁻¹ L⁻¹ Zᵀ Y, a row of each coordinate, padded to whole lanes.
    goals: Vec<f64>,
}

impl Factor {
    pub fn new(features: &Tensor, samples: Arc<Samples>) -> Result<Self> {
        let (n, width, classes) = (samples.len(), samples.width, samples.classes());
        let roots: Vec<f64> = (0..n).map(|i| samples.weight(i).sqrt()).collect();
        let total: f64 = samples
            .class_weights
            .iter()
            .zip(&samples.counts)
            .map(|(weight, &count)| weight * count as f64)
            .sum();
        let shares: Vec<f64> = roots.iter().map(|root| root / total.sqrt()).collect();
        let priors: Vec<f64> = samples
            .class_weights
            .iter()
            .zip(&samples.counts)
            .map(|(weight, &count)| weight * count as f64 / total)
            .collect();
        let (mut centred, means) = centre(features.as_slice(), &samples, &roots, total);
        let unit = unit(&mut centred, n)?;
        let y = targets(&samples, &roots, &priors);

        let side = if n > width {
            Side::Features
        } else {
            Side::Samples
        };
        let (tridiagonal, skip, panels, centred) = match side {
            Side::Features => {
                let x = View::new(&centred, n, width, width);
                let mut gram = vec![0.0; width * width];
                add_product(&mut gram, width, 1.0, x.transposed(), x, Part::Upper);
                let tridiagonal = Tridiagonal::new(gram, width);
                tridiagonal.rotate(&mut centred);
                interleave(&mut centred, width);
                (tridiagonal, 0, centred, Vec::new())
            }
            Side::Samples => {
                // One more row and column, of the shares: the first reflection turns these, along which nothing of
                // centred features lies, into an axis, and the rest goes on without it.
                let size = n + 1;
                let mut gram = vec![0.0; size * size];
                gram[1..size].copy_from_slice(&shares);
                let x = View::new(&centred, n, width, width);
                add_product(
                    &mut gram[size + 1..],
                    size,
                    1.0,
                    x,
                    x.transposed(),
                    Part::Upper,
                );
                let tridiagonal = Tridiagonal::new(gram, size);
                let mut q = vec![0.0; n * size];
                (0..n).for_each(|i| q[i * size + i + 1] = 1.0);
                tridiagonal.rotate(&mut q);
                let mut rows: Vec<f64> = q
                    .chunks_exact(size)
                    .flat_map(|row| &row[2..])
                    .copied()
                    .collect();
                rows.resize(n.next_multiple_of(LANES) * (n - 1), 0.0);
                interleave(&mut rows, n - 1);
                (tridiagonal, 2, rows, centred)
            }
        };
        let diagonal = tridiagonal.diagonal[skip..].to_vec();
        let beside = tridiagonal.beside[skip..].to_vec();
        let mut factor = Factor {
            samples,
            side,
            tridiagonal,
            diagonal,
            beside,
            panels,
            targets: Vec::new(),
            roots,
            shares,
            means,
            priors,
            unit,
            centred,
        };
        factor.targets = factor.transposed_product(&y, classes);
        Ok(factor)
    }

    /// The number of coordinates.
    fn rank(&self) -> usize {
        self.diagonal.len()
    }

    /// The mean of the squared singular values.
    fn mean_square(&self) -> f64 {
        self.diagonal.iter().sum::<f64>() / self.samples.width.min(self.samples.len() - 1) as f64
    }

    /// λ in the units of the features.
    pub fn lambda(&self, shift: &Shift) -> f64 {
        shift.lambda / (self.unit * self.unit)
    }

    /// Zᵀ `values`, with `columns` values of each sample.
    fn transposed_product(&self, values: &[f64], columns: usize) -> Vec<f64> {
        let rank = self.rank();
        let mut sums = vec![0.0; rank * columns];
        if rank == 0 {
            return sums;
        }
        // Panels are columns that lie one after the other.
        let samples = self.samples.len();
        let parts: Vec<Vec<f64>> = self
            .panels
            .par_chunks(rank * LANES * (CHUNK / LANES))
            .enumerate()
            .map(|(chunk, panels)| {
                let mut part = vec![0.0; rank * columns];
                for (p, panel) in panels.chunks_exact(rank * LANES).enumerate() {
                    let first = chunk * CHUNK + p * LANES;
                    let (panel, _) = panel.as_chunks::<LANES>();
                    for lane in 0..LANES.min(samples - first) {
                        let values = &values[(first + lane) * columns..][..columns];
                        for (z, part) in panel.iter().zip(part.chunks_exact_mut(columns)) {
                            for (part, value) in part.iter_mut().zip(values) {
                                *part += z[lane] * value;
                            }
                        }
                    }
                }
                part
            })
            .collect();
        for part in &parts {
            sums.iter_mut()
                .zip(part)
                .for_each(|(sum, part)| *sum += part);
        }
        sums
    }

    /// The solution for λ = `ratio` times the mean of the squared singular values.
    pub fn shift(&self, ratio: f64) -> Shift {
        let (rank, classes) = (self.rank(), self.samples.classes());
        let lambda = ratio * self.mean_square();
        let (mut lower, mut inverse) = (vec![0.0; rank], vec![0.0; rank]);
        let padded = classes.next_multiple_of(LANES);
        let mut goals = vec![0.0; rank * padded];
        let mut before = vec![0.0; classes];
        for j in 0..rank {
            let mut pivot = self.diagonal[j] + lambda;
            if j > 0 {
                lower[j] = self.beside[j - 1] * inverse[j - 1];
                pivot -= lower[j] * self.beside[j - 1];
            }
            // T has no negative eigenvalues but by rounding, so that no pivot is below λ.
            inverse[j] = 1.0 / pivot.max(lambda);
            for (k, before) in before.iter_mut().enumerate() {
                *before = self.targets[j * classes + k] - lower[j] * *before;
                goals[j * padded + k] = *before * inverse[j];
            }
        }
        // In panels of columns, as tiles are multiplied.
        let mut panels = vec![0.0; goals.len()];
        for (panel, out) in panels.chunks_exact_mut((rank * LANES).max(1)).enumerate() {
            for (j, out) in out.chunks_exact_mut(LANES).enumerate() {
                out.copy_from_slice(&goals[j * padded + panel * LANES..][..LANES]);
            }
        }
        Shift {
            ratio,
            lambda,
            lower,
            inverse,
            goals: panels,
        }
    }

    /// Scores of every sample (by position, one of each class) from the solutions without its group.
    pub fn scores_without(&self, shift: &Shift, blocks: &Blocks) -> Vec<f64> {
        let (n, classes, rank) = (self.samples.len(), self.samples.classes(), self.rank());
        let isa = Isa::detect();
        let mut scores = vec![0.0; n * classes];
        if rank > 0 && blocks.singles {
            scores
                .par_chunks_mut(LANES * classes)
                .zip(self.panels.par_chunks_exact(rank * LANES))
                .enumerate()
                .for_each_init(
                    || vec![0.0; rank * LANES],
                    |y, (panel, (scores, z))| {
                        let first = panel * LANES;
                        let squares = isa.run(
                            #[inline(always)]
                            || shift.forward(z, y),
                        );
                        isa.run(
                            #[inline(always)]
                            || {
                                self.residuals(shift, y, scores.len() / classes, scores, |i| {
                                    first + i
                                })
                            },
                        );
                        for (lane, residual) in scores.chunks_exact_mut(classes).enumerate() {
                            let rest = self.rest(shift, first + lane, first + lane, squares[lane]);
                            residual.iter_mut().for_each(|residual| *residual /= rest);
                        }
                    },
                );
        }
        let larger: Vec<(&Vec<usize>, Vec<f64>)> = blocks
            .larger
            .par_iter()
            .map(|members| (members, self.errors_without(shift, members)))
            .collect();
        for (members, errors) in larger {
            for (&i, errors) in members.iter().zip(errors.chunks_exact(classes)) {
                scores[i * classes..][..classes].copy_from_slice(errors);
            }
        }
        for (i, scores) in scores.chunks_exact_mut(classes).enumerate() {
            for (k, score) in scores.iter_mut().enumerate() {
                let target = if self.samples.labels[i] == k {
                    1.0
                } else {
                    0.0
                };
                *score = target - *score / self.roots[i];
            }
        }
        scores
    }

    /// (1 − H) of two samples, where `product` is y D⁻¹ yᵀ of the two.
    fn rest(&self, shift: &Shift, i: usize, j: usize, product: f64) -> f64 {
        match self.side {
            Side::Features => {
                (if i == j { 1.0 } else { 0.0 }) - self.shares[i] * self.shares[j] - product
            }
            Side::Samples => shift.lambda * product,
        }
    }

    /// What `y`, a panel of `count` samples of which the position is told, leaves of their targets.
    #[inline(always)]
    fn residuals(
        &self,
        shift: &Shift,
        y: &[f64],
        count: usize,
        residuals: &mut [f64],
        position: impl Fn(usize) -> usize,
    ) {
        let (classes, rank) = (self.samples.classes(), self.rank());
        for (panel, goals) in shift.goals.chunks_exact(rank * LANES).enumerate() {
            let sums = tile::<LANES, LANES>(y, goals);
            let columns = panel * LANES..classes.min((panel + 1) * LANES);
            for lane in 0..count {
                let i = position(lane);
                for k in columns.clone() {
                    let sum = sums[lane][k % LANES];
                    residuals[lane * classes + k] = match self.side {
                        Side::Features => self.target(i, k) - sum,
                        Side::Samples => shift.lambda * sum,
                    };
                }
            }
        }
    }

    /// The centred target, times √w.
    fn target(&self, i: usize, k: usize) -> f64 {
        let one = if self.samples.labels[i] == k {
            1.0
        } else {
            0.0
        };
        self.roots[i] * (one - self.priors[k])
    }

    /// e = (1 − H)⁻¹ r of samples that are left out together, times √w; one row of each.
    fn errors_without(&self, shift: &Shift, members: &[usize]) -> Vec<f64> {
        let (size, classes) = (members.len(), self.samples.classes());
        let (mut rest, mut errors) = self.rest_and_residuals(shift, members);
        // With λ > 0 and a sample outside, 1 − H is positive definite; rounding must not end the program.
        if !cholesky::factorise(&mut rest, size) {
            return vec![f64::NAN; size * classes];
        }
        cholesky::solve(&rest, size, &mut errors, classes);
        errors
    }

    /// (1 − H) of `members` among themselves and their residuals.
    fn rest_and_residuals(&self, shift: &Shift, members: &[usize]) -> (Vec<f64>, Vec<f64>) {
        let (size, rank, classes) = (members.len(), self.rank(), self.samples.classes());
        let isa = Isa::detect();
        let mut rest = vec![0.0; size * size];
        let mut residuals = vec![0.0; size * classes];
        let panels = size.div_ceil(LANES);
        let mut ys = vec![0.0; panels * rank * LANES];
        if rank == 0 {
            return (rest, residuals);
        }
        let mut z = vec![0.0; rank * LANES];
        for (panel, y) in ys.chunks_exact_mut(rank * LANES).enumerate() {
            let members = &members[panel * LANES..size.min((panel + 1) * LANES)];
            z.fill(0.0);
            for (lane, &i) in members.iter().enumerate() {
                let from = &self.panels[i / LANES * rank * LANES..][..rank * LANES];
                for (z, from) in z.chunks_exact_mut(LANES).zip(from.chunks_exact(LANES)) {
                    z[lane] = from[i % LANES];
                }
            }
            let out = &mut residuals[panel * LANES * classes..];
            isa.run(
                #[inline(always)]
                || {
                    shift.forward(&z, y);
                    self.residuals(shift, y, members.len(), out, |lane| members[lane]);
                },
            );
        }
        let mut scaled = vec![0.0; rank * LANES];
        for (column, y) in ys.chunks_exact(rank * LANES).enumerate() {
            for ((scaled, y), inverse) in scaled
                .chunks_exact_mut(LANES)
                .zip(y.chunks_exact(LANES))
                .zip(&shift.inverse)
            {
                scaled
                    .iter_mut()
                    .zip(y)
                    .for_each(|(scaled, y)| *scaled = y * inverse);
            }
            for (row, y) in ys.chunks_exact(rank * LANES).enumerate().skip(column) {
                let products = isa.run(
                    #[inline(always)]
                    || tile::<LANES, LANES>(y, &scaled),
                );
                for (a, products) in products.iter().enumerate() {
                    for (b, &product) in products.iter().enumerate() {
                        let (a, b) = (row * LANES + a, column * LANES + b);
                        if a < size && b < size {
                            rest[a * size + b] = self.rest(shift, members[a], members[b], product);
                        }
                    }
                }
            }
        }
        (rest, residuals)
    }

    /// The head's kernel, features × classes, and bias, for features as they were given.
    pub fn weights(&self, shift: &Shift) -> (Vec<f64>, Vec<f64>) {
        let (classes, rank, width) = (self.samples.classes(), self.rank(), self.samples.width);
        // (T + λ)⁻¹ Zᵀ Y = L⁻ᵀ goals, a row of each class.
        let skip = self.tridiagonal.size() - rank;
        let mut rows = vec![0.0; classes * (rank + skip)];
        for (k, row) in rows.chunks_exact_mut((rank + skip).max(1)).enumerate() {
            let mut after = 0.0;
            for j in (0..rank).rev() {
                let lower = if j + 1 < rank {
                    shift.lower[j + 1]
                } else {
                    0.0
                };
                after = shift.goals[(k / LANES * rank + j) * LANES + k % LANES] - lower * after;
                row[skip + j] = after;
            }
        }
        self.tridiagonal.rotate_back(&mut rows);
        let mut kernel = vec![0.0; width * classes];
        match self.side {
            Side::Features => {
                for (k, row) in rows.chunks_exact(width).enumerate() {
                    row.iter()
                        .enumerate()
                        .for_each(|(j, value)| kernel[j * classes + k] = *value);
                }
            }
            Side::Samples => {
                let n = self.samples.len();
                let alpha = View::new(&rows[1..], classes, n, n + 1).transposed();
                let x = View::new(&self.centred, n, width, width).transposed();
                add_product(&mut kernel, classes, 1.0, x, alpha, Part::All);
            }
        }
        kernel.iter_mut().for_each(|value| *value *= self.unit);
        let mut bias = self.priors.clone();
        for (mean, row) in self.means.iter().zip(kernel.chunks_exact(classes)) {
            bias.iter_mut()
                .zip(row)
                .for_each(|(bias, weight)| *bias -= mean * weight);
        }
        (kernel, bias)
    }
}

impl Shift {
    /// y = L⁻¹ z for a panel; returns y D⁻¹ yᵀ of each lane.
    #[inline(always)]
    fn forward(&self, z: &[f64], y: &mut [f64]) -> [f64; LANES] {
        let (z, _) = z.as_chunks::<LANES>();
        let (y, _) = y.as_chunks_mut::<LANES>();
        let (mut before, mut squares) = ([0.0; LANES], [0.0; LANES]);
        for (((z, y), lower), inverse) in z.iter().zip(y).zip(&self.lower).zip(&self.inverse) {
            for lane in 0..LANES {
                before[lane] = z[lane] - lower * before[lane];
                squares[lane] += before[lane] * before[lane] * inverse;
            }
            *y = before;
        }
        squares
    }
}

/// What is left out together.
pub(crate) struct Blocks {
    /// Whether any sample is left out alone.
    singles: bool,
    larger: Vec<Vec<usize>>,
    #[cfg(test)]
    pub all: Vec<Vec<usize>>,
}

impl Blocks {
    /// Each group alone.
    pub fn groups(samples: &Samples) -> Self {
        Blocks::new(samples.members.clone())
    }

    /// A group of each class, so that what is left has nearly the same shares of classes as all. A class with fewer
    /// groups than the largest is in some blocks only.
    pub fn of_each_class(samples: &Samples) -> Self {
        let mut of_class = vec![Vec::new(); samples.classes()];
        for (group, members) in samples.members.iter().enumerate() {
            of_class[samples.labels[members[0]]].push(group);
        }
        let count = of_class.iter().map(Vec::len).max().unwrap_or(0);
        let mut blocks = vec![Vec::new(); count];
        for (class, groups) in of_class.iter().enumerate() {
            for (i, &group) in groups.iter().enumerate() {
                // Spread evenly, classes beginning at different places.
                let place = (i * count / groups.len()
                    + class * count / (groups.len() * of_class.len()))
                    % count;
                blocks[place].extend(&samples.members[group]);
            }
        }
        Blocks::new(blocks)
    }

    fn new(blocks: Vec<Vec<usize>>) -> Self {
        let (singles, larger): (Vec<_>, Vec<_>) =
            blocks.into_iter().partition(|block| block.len() < 2);
        #[cfg(test)]
        let all = singles.iter().chain(&larger).cloned().collect();
        Blocks {
            #[cfg(test)]
            all,
            singles: singles.iter().any(|block| !block.is_empty()),
            larger,
        }
    }
}

/// Features in the samples' order, centred by their weighted mean and times √w, with rows of zeros to whole panels;
/// and the means.
fn centre(values: &[f32], samples: &Samples, roots: &[f64], total: f64) -> (Vec<f64>, Vec<f64>) {
    let (n, width) = (samples.len(), samples.width);
    let row = |i: usize| &values[samples.order[i] * width..][..width];
    // Means of what is beyond the first sample: a feature that never changes is 0 then, to the bit.
    let origin = row(0);
    let parts: Vec<Vec<f64>> = (0..n.div_ceil(CHUNK))
        .into_par_iter()
        .map(|chunk| {
            let mut part = vec![0.0; width];
            for i in chunk * CHUNK..n.min((chunk + 1) * CHUNK) {
                let weight = roots[i] * roots[i] / total;
                for ((part, x), origin) in part.iter_mut().zip(row(i)).zip(origin) {
                    *part += weight * (f64::from(*x) - f64::from(*origin));
                }
            }
            part
        })
        .collect();
    let mut shift = vec![0.0; width];
    for part in &parts {
        shift
            .iter_mut()
            .zip(part)
            .for_each(|(shift, part)| *shift += part);
    }
    let mut centred = vec![0.0; n.next_multiple_of(LANES) * width];
    centred[..n * width]
        .par_chunks_mut(width)
        .enumerate()
        .for_each(|(i, out)| {
            for (((out, x), origin), shift) in out.iter_mut().zip(row(i)).zip(origin).zip(&shift) {
                *out = roots[i] * ((f64::from(*x) - f64::from(*origin)) - shift);
            }
        });
    let means = origin
        .iter()
        .zip(&shift)
        .map(|(origin, shift)| f64::from(*origin) + shift)
        .collect();
    (centred, means)
}

/// Scales by a power of two, which is exact, so that numbers are about 1. Returns the factor.
fn unit(centred: &mut [f64], n: usize) -> Result<f64> {
    let parts: Vec<f64> = centred
        .par_chunks(1 << 16)
        .map(|part| dot(part, part))
        .collect();
    let mean = parts.iter().sum::<f64>() / centred.len().max(n) as f64;
    if mean == 0.0 {
        return Err(Error::Features(
            Detail::new(
                "features",
                "some that differ from sample to sample",
                format!("{n} samples that are all alike"),
            )
            .help(
                "look at what the network gives: is it fed the pictures, scaled as it was trained?",
            ),
        ));
    }
    let exponent = (((mean.sqrt().to_bits() >> 52) & 0x7FF) as i64) - 1023;
    let factor = f64::from_bits(((1023 - exponent) as u64) << 52);
    centred.par_iter_mut().for_each(|x| *x *= factor);
    Ok(factor)
}

/// One-hot rows, centred, times √w.
fn targets(samples: &Samples, roots: &[f64], priors: &[f64]) -> Vec<f64> {
    let mut y = Vec::with_capacity(samples.len() * priors.len());
    for (&label, root) in samples.labels.iter().zip(roots) {
        y.extend(
            priors
                .iter()
                .enumerate()
                .map(|(k, prior)| root * (if k == label { 1.0 } else { 0.0 } - prior)),
        );
    }
    y
}

/// Rows to panels, in place.
fn interleave(rows: &mut [f64], width: usize) {
    if width == 0 {
        return;
    }
    rows.par_chunks_exact_mut(width * LANES).for_each_init(
        || vec![0.0; width * LANES],
        |buffer, rows| {
            for (lane, row) in rows.chunks_exact(width).enumerate() {
                row.iter()
                    .enumerate()
                    .for_each(|(j, value)| buffer[j * LANES + lane] = *value);
            }
            rows.copy_from_slice(buffer);
        },
    );
}
