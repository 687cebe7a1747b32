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

use std::collections::HashSet;
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
    pub fn mean_square(&self) -> f64 {
        self.diagonal.iter().sum::<f64>() / self.samples.width.min(self.samples.len() - 1) as f64
    }

    /// λ in the units of the features.
    pub fn lambda(&self, shift: &Shift) -> f64 {
        shift.ratio * self.unit_of_lambda()
    }

    /// The λ that is meant by a ratio of 1, in the units of the features.
    pub fn unit_of_lambda(&self) -> f64 {
        self.mean_square() / (self.unit * self.unit)
    }

    /// Zᵀ `values`, with `columns` values of each sample.
    fn transposed_product(&self, values: &[f64], columns: usize) -> Vec<f64> {
        let rank = self.rank();
        let mut sums = vec![0.0; rank * columns];
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
        let (lower, inverse) = factorise(&self.diagonal, &self.beside, 1.0, lambda);
        let padded = classes.next_multiple_of(LANES);
        let mut goals = vec![0.0; rank * padded];
        let mut before = vec![0.0; classes];
        for j in 0..rank {
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

    /// What every sample's targets differ by from the scores of the solution without its block: e = (1 − H)⁻¹ r,
    /// times √w, by position, one of each class.
    pub fn errors_without(&self, shift: &Shift, blocks: &Blocks) -> Vec<f64> {
        let (n, classes, rank) = (self.samples.len(), self.samples.classes(), self.rank());
        let isa = Isa::detect();
        let mut errors = vec![0.0; n * classes];
        if blocks.singles {
            errors
                .par_chunks_mut(LANES * classes)
                .zip(self.panels.par_chunks_exact(rank * LANES))
                .enumerate()
                .for_each_init(
                    || vec![0.0; rank * LANES],
                    |y, (panel, (errors, z))| {
                        let (first, count) = (panel * LANES, errors.len() / classes);
                        let squares = isa.run(
                            #[inline(always)]
                            || {
                                let squares = shift.forward(z, y);
                                self.residuals(shift, y, count, errors, |lane| first + lane);
                                squares
                            },
                        );
                        for (lane, residual) in errors.chunks_exact_mut(classes).enumerate() {
                            let i = first + lane;
                            let rest = self.rest(shift, i, i, squares[lane]);
                            residual.iter_mut().for_each(|residual| *residual /= rest);
                        }
                    },
                );
        }
        let larger: Vec<(&Vec<usize>, Vec<f64>)> = blocks
            .larger
            .par_iter()
            .map(|members| (members, self.errors_of(shift, members)))
            .collect();
        for (members, of_block) in larger {
            for (&i, of_one) in members.iter().zip(of_block.chunks_exact(classes)) {
                errors[i * classes..][..classes].copy_from_slice(of_one);
            }
        }
        errors
    }

    /// The scores that go with such errors.
    pub fn scores(&self, mut errors: Vec<f64>) -> Vec<f64> {
        let classes = self.samples.classes();
        for (i, row) in errors.chunks_exact_mut(classes).enumerate() {
            for (k, score) in row.iter_mut().enumerate() {
                let target = if self.samples.labels[i] == k {
                    1.0
                } else {
                    0.0
                };
                *score = target - *score / self.roots[i];
            }
        }
        errors
    }

    /// The residuals of all samples, times √w, by position.
    pub fn all_residuals(&self, shift: &Shift) -> Vec<f64> {
        let (n, classes, rank) = (self.samples.len(), self.samples.classes(), self.rank());
        let isa = Isa::detect();
        let mut residuals = vec![0.0; n * classes];
        residuals
            .par_chunks_mut(LANES * classes)
            .zip(self.panels.par_chunks_exact(rank * LANES))
            .enumerate()
            .for_each_init(
                || vec![0.0; rank * LANES],
                |y, (panel, (residuals, z))| {
                    isa.run(
                        #[inline(always)]
                        || {
                            shift.forward(z, y);
                            let count = residuals.len() / classes;
                            self.residuals(shift, y, count, residuals, |lane| panel * LANES + lane);
                        },
                    );
                },
            );
        residuals
    }

    /// Yᵀ (1 − H) Y, K × K: what the solution leaves of the centred targets.
    pub fn left_of_targets(&self, shift: &Shift) -> Vec<f64> {
        let (classes, rank) = (self.samples.classes(), self.rank());
        let mut products = vec![0.0; classes * classes];
        for j in 0..rank {
            let goal = |k: usize| shift.goals[(k / LANES * rank + j) * LANES + k % LANES];
            for a in 0..classes {
                for b in 0..classes {
                    products[a * classes + b] += goal(a) * goal(b) / shift.inverse[j];
                }
            }
        }
        match self.side {
            Side::Samples => products
                .iter_mut()
                .for_each(|product| *product *= shift.lambda),
            Side::Features => {
                let total = self.total();
                for a in 0..classes {
                    for b in 0..classes {
                        let all = if a == b { self.priors[a] } else { 0.0 }
                            - self.priors[a] * self.priors[b];
                        let product = &mut products[a * classes + b];
                        *product = total * all - *product;
                    }
                }
            }
        }
        products
    }

    /// Σ w
    pub fn total(&self) -> f64 {
        (0..self.priors.len())
            .map(|k| self.samples.class_weights[k] * self.samples.counts[k] as f64)
            .sum()
    }

    /// The share of each class, by weight.
    pub fn priors(&self) -> &[f64] {
        &self.priors
    }

    /// √w of a sample.
    pub fn root(&self, i: usize) -> f64 {
        self.roots[i]
    }

    /// Features were multiplied by it.
    pub fn unit(&self) -> f64 {
        self.unit
    }

    /// Means of the features.
    pub fn means(&self) -> &[f64] {
        &self.means
    }

    /// tr A and tr B, of the scatter of all samples and of the class means: Σ w |x|² and Σ w |m|².
    pub fn scatter(&self) -> (f64, f64) {
        let classes = self.samples.classes();
        let of_means = (0..classes)
            .map(|k| {
                let column: Vec<f64> = self
                    .targets
                    .iter()
                    .skip(k)
                    .step_by(classes)
                    .copied()
                    .collect();
                let square = match self.side {
                    Side::Features => dot(&column, &column),
                    Side::Samples => dot(&column, &times(&self.diagonal, &self.beside, &column)),
                };
                square / (self.priors[k] * self.total())
            })
            .sum();
        (self.diagonal.iter().sum(), of_means)
    }

    /// The sum of the squares of the scatter within classes, of all pairs of features.
    pub fn square_within(&self) -> f64 {
        let classes = self.samples.classes();
        let columns: Vec<Vec<f64>> = (0..classes)
            .map(|k| {
                self.targets
                    .iter()
                    .skip(k)
                    .step_by(classes)
                    .copied()
                    .collect()
            })
            .collect();
        let moved: Vec<Vec<f64>> = columns
            .iter()
            .map(|column| times(&self.diagonal, &self.beside, column))
            .collect();
        let weight = |k: usize| self.priors[k] * self.total();
        let mut sum = dot(&self.diagonal, &self.diagonal) + 2.0 * dot(&self.beside, &self.beside);
        for a in 0..classes {
            // m A m and the products of means, with X Xᵀ in the place of 1 where the rows are of samples.
            let (square, other) = match self.side {
                Side::Features => (dot(&columns[a], &moved[a]), &columns),
                Side::Samples => (dot(&moved[a], &moved[a]), &moved),
            };
            sum -= 2.0 * square / weight(a);
            for (b, other) in other.iter().enumerate() {
                let product = dot(&columns[a], other);
                sum += product * product / (weight(a) * weight(b));
            }
        }
        sum
    }

    /// Coordinates of Q that were left away.
    pub fn skipped(&self) -> usize {
        self.tridiagonal.size() - self.rank()
    }

    /// Whether the coordinates are those of features, so that a row has one of each.
    pub fn by_features(&self) -> bool {
        self.side == Side::Features
    }

    /// T
    pub fn tridiagonal(&self) -> (&[f64], &[f64]) {
        (&self.diagonal, &self.beside)
    }

    /// The samples' rows in Q's coordinates: panels of [`LANES`] samples.
    pub fn panels(&self) -> &[f64] {
        &self.panels
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
            let sums = tile::<LANES>(y, goals);
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

    /// e = (1 − H)⁻¹ r of samples that are left out together, times √w; one row of each. NaN where rounding has made
    /// 1 − H singular: with λ > 0 and a sample outside it is positive definite.
    fn errors_of(&self, shift: &Shift, members: &[usize]) -> Vec<f64> {
        let (size, classes) = (members.len(), self.samples.classes());
        if self.is_large(size) {
            let (rows, errors) = self.rows_and_residuals(shift, members);
            let mut left = self.unit_matrix();
            return self.correct(&mut left, &rows, errors);
        }
        let (mut rest, mut errors) = self.rest_and_residuals(shift, members);
        if !cholesky::factorise(&mut rest, size) {
            return vec![f64::NAN; size * classes];
        }
        cholesky::solve(&rest, size, &mut errors, classes);
        errors
    }

    /// Whether so many samples are more than coordinates. Then with H = U Uᵀ, where U has a column of each coordinate
    /// and one of the shares, (1 − U Uᵀ)⁻¹ = 1 + U (1 − UᵀU)⁻¹ Uᵀ (Woodbury's formula) needs less memory and time.
    fn is_large(&self, size: usize) -> bool {
        self.by_features() && size > self.rank() + 1
    }

    fn unit_matrix(&self) -> Vec<f64> {
        let size = self.rank() + 1;
        let mut unit = vec![0.0; size * size];
        (0..size).for_each(|i| unit[i * size + i] = 1.0);
        unit
    }

    /// e = r + U C⁻¹ Uᵀ r of residuals r, with C = `left` − UᵀU, of which the factor is left in `left`. NaN if C is
    /// singular.
    fn correct(&self, left: &mut [f64], rows: &[f64], mut residuals: Vec<f64>) -> Vec<f64> {
        match self.correction(left, rows, &residuals) {
            Some(by) => self.add(&mut residuals, rows, &by),
            None => residuals.fill(f64::NAN),
        }
        residuals
    }

    /// C⁻¹ Uᵀ r
    fn correction(&self, left: &mut [f64], rows: &[f64], residuals: &[f64]) -> Option<Vec<f64>> {
        let (size, classes) = (self.rank() + 1, self.samples.classes());
        let count = rows.len() / size;
        let u = View::new(rows, count, size, size);
        add_product(left, size, -1.0, u.transposed(), u, Part::Upper);
        for i in 0..size {
            (0..i).for_each(|j| left[i * size + j] = left[j * size + i]);
        }
        if !cholesky::factorise(left, size) {
            return None;
        }
        let mut by = vec![0.0; size * classes];
        let r = View::new(residuals, count, classes, classes);
        add_product(&mut by, classes, 1.0, u.transposed(), r, Part::All);
        cholesky::solve(left, size, &mut by, classes);
        Some(by)
    }

    /// Adds U `by`.
    fn add(&self, residuals: &mut [f64], rows: &[f64], by: &[f64]) {
        let (size, classes) = (self.rank() + 1, self.samples.classes());
        let u = View::new(rows, rows.len() / size, size, size);
        let by = View::new(by, size, classes, classes);
        add_product(residuals, classes, 1.0, u, by, Part::All);
    }

    /// Scores from the solution without all samples of `class`: of these, and of each of the groups `tested`, which is
    /// left out as well. A row of each sample, in order; what they say of `class` itself means nothing. None if
    /// rounding has made that singular.
    pub fn scores_without_class(
        &self,
        shift: &Shift,
        class: usize,
        tested: &[Vec<usize>],
    ) -> Option<[Vec<f64>; 2]> {
        let classes = self.samples.classes();
        let of_class: Vec<usize> = (0..self.samples.len())
            .filter(|&i| self.samples.labels[i] == class)
            .collect();
        let size = of_class.len() + tested.iter().map(Vec::len).sum::<usize>();
        let (errors, of_tested) = match self.is_large(size) {
            true => self.errors_without_many(shift, &of_class, tested)?,
            false => self.errors_without_few(shift, &of_class, tested)?,
        };
        let scores = |members: &[usize], errors: &[f64]| -> Vec<f64> {
            let rows = members.iter().zip(errors.chunks_exact(classes));
            rows.flat_map(|(&i, row)| {
                row.iter().enumerate().map(move |(k, error)| {
                    (if self.samples.labels[i] == k {
                        1.0
                    } else {
                        0.0
                    }) - error / self.roots[i]
                })
            })
            .collect()
        };
        let both = [
            scores(&of_class, &errors),
            scores(&tested.concat(), &of_tested),
        ];
        let finite = both.iter().flatten().all(|score| score.is_finite());
        finite.then_some(both)
    }

    /// The errors of samples that are left out, and of groups each of which is left out as well, where they are more
    /// than coordinates: with C = 1 − UᵀU of the samples, a group's residuals grow by U_g C⁻¹ Uᵀ r, and 1 − H of the
    /// group becomes 1 − U_g C⁻¹ U_gᵀ.
    fn errors_without_many(
        &self,
        shift: &Shift,
        out: &[usize],
        tested: &[Vec<usize>],
    ) -> Option<(Vec<f64>, Vec<f64>)> {
        let (size, classes) = (self.rank() + 1, self.samples.classes());
        let (rows, mut errors) = self.rows_and_residuals(shift, out);
        let mut factor = self.unit_matrix();
        let by = self.correction(&mut factor, &rows, &errors)?;
        self.add(&mut errors, &rows, &by);
        let of_tested: Vec<Vec<f64>> = tested
            .par_iter()
            .map(|group| {
                let (mut rows, mut errors) = self.rows_and_residuals(shift, group);
                self.add(&mut errors, &rows, &by);
                let count = group.len();
                // V = U_g L⁻ᵀ with C = L Lᵀ, so that 1 − V Vᵀ is 1 − H of the group.
                for row in rows.chunks_exact_mut(size) {
                    cholesky::forward(&factor, size, row, 1);
                }
                if count > size {
                    return self.correct(&mut self.unit_matrix(), &rows, errors);
                }
                let mut complement = vec![0.0; count * count];
                for a in 0..count {
                    for b in 0..=a {
                        let product = dot(&rows[a * size..][..size], &rows[b * size..][..size]);
                        let one = if a == b { 1.0 } else { 0.0 };
                        complement[a * count + b] = one - product;
                    }
                }
                if !cholesky::factorise(&mut complement, count) {
                    return vec![f64::NAN; count * classes];
                }
                cholesky::solve(&complement, count, &mut errors, classes);
                errors
            })
            .collect();
        Some((errors, of_tested.concat()))
    }

    /// The same where they are few: Schur's complements in 1 − H of all of them.
    fn errors_without_few(
        &self,
        shift: &Shift,
        out: &[usize],
        tested: &[Vec<usize>],
    ) -> Option<(Vec<f64>, Vec<f64>)> {
        let classes = self.samples.classes();
        let inner = out.len();
        let members: Vec<usize> = out.iter().chain(tested.iter().flatten()).copied().collect();
        let size = members.len();
        let (rest, residuals) = self.rest_and_residuals(shift, &members);
        // (1 − H) of the samples, as a matrix of its own.
        let mut own: Vec<f64> = rest
            .chunks_exact(size)
            .take(inner)
            .flat_map(|row| &row[..inner])
            .copied()
            .collect();
        if !cholesky::factorise(&mut own, inner) {
            return None;
        }
        let mut half = residuals[..inner * classes].to_vec();
        cholesky::forward(&own, inner, &mut half, classes);
        let mut errors = residuals[..inner * classes].to_vec();
        cholesky::solve(&own, inner, &mut errors, classes);
        let mut starts = Vec::new();
        let mut start = inner;
        for group in tested {
            starts.push(start);
            start += group.len();
        }
        let of_tested: Vec<Vec<f64>> = tested
            .par_iter()
            .zip(&starts)
            .map(|(group, &start)| {
                // Schur's complement of the samples.
                let count = group.len();
                let mut rows: Vec<f64> = (0..count)
                    .flat_map(|a| rest[(start + a) * size..][..inner].to_vec())
                    .collect();
                for row in rows.chunks_exact_mut(inner) {
                    for j in 0..inner {
                        let factor = &own[j * inner..][..=j];
                        row[j] = (row[j] - dot(&row[..j], &factor[..j])) / factor[j];
                    }
                }
                let mut complement = vec![0.0; count * count];
                let mut errors = residuals[start * classes..][..count * classes].to_vec();
                for a in 0..count {
                    let row = &rows[a * inner..][..inner];
                    for b in 0..=a {
                        let product = dot(row, &rows[b * inner..][..inner]);
                        complement[a * count + b] = rest[(start + a) * size + start + b] - product;
                    }
                    for (j, factor) in row.iter().enumerate() {
                        let error = &mut errors[a * classes..][..classes];
                        crate::product::add_scaled(error, -factor, &half[j * classes..][..classes]);
                    }
                }
                if !cholesky::factorise(&mut complement, count) {
                    return vec![f64::NAN; count * classes];
                }
                cholesky::solve(&complement, count, &mut errors, classes);
                errors
            })
            .collect();
        Some((errors, of_tested.concat()))
    }

    /// (X Xᵀ + λ)⁻¹ of the features as they were given, features × features.
    pub fn inverse(&self, shift: &Shift) -> Vec<f64> {
        let (n, width, rank) = (self.samples.len(), self.samples.width, self.rank());
        let mut inverse = vec![0.0; width * width];
        // A row of L⁻¹ zᵀ for each row z, and one of D⁻¹ times that.
        let solve = |rows: &mut [f64]| -> Vec<f64> {
            rows.par_chunks_exact_mut(rank).for_each(|row| {
                for j in 1..rank {
                    row[j] -= shift.lower[j] * row[j - 1];
                }
            });
            let scaled = rows
                .chunks_exact(rank)
                .flat_map(|row| row.iter().zip(&shift.inverse).map(|(a, b)| a * b));
            scaled.collect()
        };
        let unit = self.unit * self.unit;
        match self.side {
            Side::Features => {
                let mut rows = vec![0.0; width * width];
                (0..width).for_each(|i| rows[i * width + i] = 1.0);
                self.tridiagonal.rotate(&mut rows);
                let scaled = solve(&mut rows);
                let (left, right) = (
                    View::new(&rows, width, width, width),
                    View::new(&scaled, width, width, width),
                );
                add_product(
                    &mut inverse,
                    width,
                    unit,
                    left,
                    right.transposed(),
                    Part::All,
                );
            }
            Side::Samples => {
                // (1 − Xᵀ (X Xᵀ + λ)⁻¹ X) / λ
                let mut rows = vec![0.0; n * rank];
                for (i, row) in rows.chunks_exact_mut(rank).enumerate() {
                    let panel = &self.panels[i / LANES * rank * LANES..][..rank * LANES];
                    row.iter_mut()
                        .zip(panel.iter().skip(i % LANES).step_by(LANES))
                        .for_each(|(x, z)| *x = *z);
                }
                let scaled = solve(&mut rows);
                let x = View::new(&self.centred, n, width, width);
                let (mut left, mut right) = (vec![0.0; rank * width], vec![0.0; rank * width]);
                add_product(
                    &mut left,
                    width,
                    1.0,
                    View::new(&rows, n, rank, rank).transposed(),
                    x,
                    Part::All,
                );
                add_product(
                    &mut right,
                    width,
                    1.0,
                    View::new(&scaled, n, rank, rank).transposed(),
                    x,
                    Part::All,
                );
                let (left, right) = (
                    View::new(&left, rank, width, width),
                    View::new(&right, rank, width, width),
                );
                add_product(
                    &mut inverse,
                    width,
                    -1.0,
                    left.transposed(),
                    right,
                    Part::All,
                );
                (0..width).for_each(|i| inverse[i * width + i] += 1.0);
                inverse
                    .iter_mut()
                    .for_each(|value| *value *= unit / shift.lambda);
            }
        }
        inverse
    }

    /// Rows of U of `members`, where H = U Uᵀ, and their residuals: y D^−½ and the share.
    fn rows_and_residuals(&self, shift: &Shift, members: &[usize]) -> (Vec<f64>, Vec<f64>) {
        let (rank, classes) = (self.rank(), self.samples.classes());
        let size = rank + 1;
        let roots: Vec<f64> = shift.inverse.iter().map(|inverse| inverse.sqrt()).collect();
        let mut rows = vec![0.0; members.len() * size];
        let mut residuals = vec![0.0; members.len() * classes];
        rows.par_chunks_mut(LANES * size)
            .zip(residuals.par_chunks_mut(LANES * classes))
            .zip(members.par_chunks(LANES))
            .for_each_init(
                || (vec![0.0; rank * LANES], vec![0.0; rank * LANES]),
                |(z, y), ((rows, residuals), members)| {
                    self.solve_panel(shift, members, z, y, residuals);
                    for (lane, (row, &i)) in rows.chunks_exact_mut(size).zip(members).enumerate() {
                        let own = y.iter().skip(lane).step_by(LANES).zip(&roots);
                        row.iter_mut()
                            .zip(own)
                            .for_each(|(row, (y, root))| *row = y * root);
                        row[rank] = self.shares[i];
                    }
                },
            );
        (rows, residuals)
    }

    /// y = L⁻¹ z of up to [`LANES`] members, and their residuals; `z` is room.
    fn solve_panel(
        &self,
        shift: &Shift,
        members: &[usize],
        z: &mut [f64],
        y: &mut [f64],
        residuals: &mut [f64],
    ) {
        let rank = self.rank();
        z.fill(0.0);
        for (lane, &i) in members.iter().enumerate() {
            let from = &self.panels[i / LANES * rank * LANES..][..rank * LANES];
            for (z, from) in z.chunks_exact_mut(LANES).zip(from.chunks_exact(LANES)) {
                z[lane] = from[i % LANES];
            }
        }
        Isa::detect().run(
            #[inline(always)]
            || {
                shift.forward(z, y);
                self.residuals(shift, y, members.len(), residuals, |lane| members[lane]);
            },
        );
    }

    /// (1 − H) of `members` among themselves and their residuals.
    fn rest_and_residuals(&self, shift: &Shift, members: &[usize]) -> (Vec<f64>, Vec<f64>) {
        let (size, rank, classes) = (members.len(), self.rank(), self.samples.classes());
        let isa = Isa::detect();
        let mut rest = vec![0.0; size * size];
        let mut residuals = vec![0.0; size * classes];
        let panels = size.div_ceil(LANES);
        let mut ys = vec![0.0; panels * rank * LANES];
        let mut z = vec![0.0; rank * LANES];
        for (panel, y) in ys.chunks_exact_mut(rank * LANES).enumerate() {
            let members = &members[panel * LANES..size.min((panel + 1) * LANES)];
            let out = &mut residuals[panel * LANES * classes..];
            self.solve_panel(shift, members, &mut z, y, out);
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
                    || tile::<LANES>(y, &scaled),
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
        let (classes, rank) = (self.samples.classes(), self.rank());
        // (T + λ)⁻¹ Zᵀ Y = L⁻ᵀ goals, a row of each class.
        let skip = self.skipped();
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
        self.to_features(rows)
    }

    /// From the coordinates of Q, a row of each class (behind those that were left away), to a kernel for features as
    /// they were given, and its bias: the shares of classes, less what the means give.
    pub fn to_features(&self, mut rows: Vec<f64>) -> (Vec<f64>, Vec<f64>) {
        let (classes, width) = (self.samples.classes(), self.samples.width);
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

/// L beside its diagonal of ones, and D⁻¹, of `scale` · T + `shift` = L D Lᵀ. T has no negative eigenvalues but by
/// rounding, so that no pivot is below `shift`.
pub(crate) fn factorise(
    diagonal: &[f64],
    beside: &[f64],
    scale: f64,
    shift: f64,
) -> (Vec<f64>, Vec<f64>) {
    let (mut lower, mut inverse) = (vec![0.0; diagonal.len()], vec![0.0; diagonal.len()]);
    for j in 0..diagonal.len() {
        let mut pivot = scale * diagonal[j] + shift;
        if j > 0 {
            let beside = scale * beside[j - 1];
            lower[j] = beside * inverse[j - 1];
            pivot -= lower[j] * beside;
        }
        inverse[j] = 1.0 / pivot.max(shift);
    }
    (lower, inverse)
}

/// T x
fn times(diagonal: &[f64], beside: &[f64], x: &[f64]) -> Vec<f64> {
    let mut y: Vec<f64> = diagonal.iter().zip(x).map(|(d, x)| d * x).collect();
    for j in 1..x.len() {
        y[j] += beside[j - 1] * x[j - 1];
        y[j - 1] += beside[j - 1] * x[j];
    }
    y
}

/// What is left out together.
pub(crate) struct Blocks {
    /// Whether any sample is left out alone.
    singles: bool,
    larger: Vec<Vec<usize>>,
    /// All of them, single ones too.
    pub all: Vec<Vec<usize>>,
}

impl Blocks {
    /// Each group alone.
    pub fn groups(samples: &Samples) -> Self {
        Blocks::new(samples.members.clone())
    }

    /// A group of each class, so that what is left has nearly the same shares of classes as all. A class with fewer
    /// groups than the largest is in some blocks only, and no class is in a block with two of its groups, so that one
    /// of several groups never vanishes.
    pub fn of_each_class(samples: &Samples) -> Self {
        let mut of_class = vec![Vec::new(); samples.classes()];
        for (group, members) in samples.members.iter().enumerate() {
            of_class[samples.labels[members[0]]].push(group);
        }
        let count = samples.class_groups.iter().copied().max().unwrap_or(0);
        if count < 2 {
            // One of each class would be all.
            return Blocks::groups(samples);
        }
        let mut blocks = vec![Vec::new(); count];
        let mut inside: Vec<HashSet<usize>> = vec![HashSet::new(); count];
        for (class, groups) in of_class.iter().enumerate() {
            for (i, &group) in groups.iter().enumerate() {
                // Spread evenly, classes beginning at different places.
                let wanted =
                    i * count / groups.len() + class * count / (groups.len() * of_class.len());
                // The next one without a group of any of its classes: the first, but for groups of several classes.
                let classes = samples.classes_of(&samples.members[group]);
                let is_free = |place: &usize| {
                    let inside = &inside[*place];
                    !classes.iter().any(|class| inside.contains(class))
                };
                let mut places = (0..count).map(|i| (wanted + i) % count);
                let place = places
                    .find(is_free)
                    .or_else(|| (count..blocks.len()).find(is_free));
                let place = place.unwrap_or_else(|| {
                    blocks.push(Vec::new());
                    inside.push(HashSet::new());
                    blocks.len() - 1
                });
                blocks[place].extend(&samples.members[group]);
                inside[place].extend(classes);
            }
        }
        Blocks::new(blocks)
    }

    fn new(blocks: Vec<Vec<usize>>) -> Self {
        let (singles, larger): (Vec<_>, Vec<_>) =
            blocks.into_iter().partition(|block| block.len() < 2);
        let all = singles.iter().chain(&larger).cloned().collect();
        Blocks {
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
            let members = chunk * CHUNK..n.min((chunk + 1) * CHUNK);
            for (i, root) in members.clone().zip(&roots[members]) {
                let weight = root * root / total;
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
