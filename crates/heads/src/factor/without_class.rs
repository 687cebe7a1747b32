//! What the solution without all samples of a class says of these, and of others.

use rayon::prelude::*;

use super::{Factor, Shift};
use crate::cholesky;
use crate::product::{add_scaled, dot};

impl Factor {
    /// Scores from the solution without all samples of `class`: of these, and of each of the groups `tested`, which is
    /// left out as well. A row of each sample, in order; what they say of `class` itself means nothing. None if
    /// rounding has made that singular.
    pub fn scores_without_class(
        &self,
        shift: &Shift,
        class: usize,
        tested: &[Vec<usize>],
    ) -> Option<[Vec<f64>; 2]> {
        let of_class: Vec<usize> = (0..self.samples.len())
            .filter(|&i| self.samples.labels[i] == class)
            .collect();
        let size = of_class.len() + tested.iter().map(Vec::len).sum::<usize>();
        let (errors, of_tested) = match self.is_large(size) {
            true => self.errors_without_many(shift, &of_class, tested)?,
            false => self.errors_without_few(shift, &of_class, tested)?,
        };
        let both = [
            self.scores_of(of_class, errors),
            self.scores_of(tested.concat(), of_tested),
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
        let size = self.rank() + 1;
        let (correction, mut errors) = self.correction(shift, out);
        let (factor, by) = correction?;
        self.add(shift, out, &mut errors, &by);
        let of_tested: Vec<Vec<f64>> = tested
            .par_iter()
            .map(|group| {
                let (mut rows, mut errors) = self.rows_and_residuals(shift, group);
                self.add_rows(&mut errors, &rows, &by);
                let count = group.len();
                // V = U_g L⁻ᵀ with C = L Lᵀ, so that 1 − V Vᵀ is 1 − H of the group.
                for row in rows.chunks_exact_mut(size) {
                    cholesky::forward(&factor, size, row, 1);
                }
                if count > size {
                    return self.correct_rows(&rows, errors);
                }
                let one = |a: usize, b: usize| if a == b { 1.0 } else { 0.0 };
                solve_complement(count, one, &rows, errors)
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
                let count = group.len();
                let mut rows: Vec<f64> = (0..count)
                    .flat_map(|a| rest[(start + a) * size..][..inner].to_vec())
                    .collect();
                for row in rows.chunks_exact_mut(inner) {
                    cholesky::solve_row(&own, inner, row);
                }
                let mut errors = residuals[start * classes..][..count * classes].to_vec();
                let pairs = rows
                    .chunks_exact(inner)
                    .zip(errors.chunks_exact_mut(classes));
                for (row, error) in pairs {
                    for (factor, half) in row.iter().zip(half.chunks_exact(classes)) {
                        add_scaled(error, -factor, half);
                    }
                }
                let of_group = |a: usize, b: usize| rest[(start + a) * size + start + b];
                solve_complement(count, of_group, &rows, errors)
            })
            .collect();
        Some((errors, of_tested.concat()))
    }
}

/// The errors of `count` samples by Schur's complement of those that are left out before: `own` − V Vᵀ, V of these
/// `rows`, times the errors is what is left of the targets. NaN where rounding has made that singular.
fn solve_complement(
    count: usize,
    own: impl Fn(usize, usize) -> f64,
    rows: &[f64],
    mut residuals: Vec<f64>,
) -> Vec<f64> {
    let (size, classes) = (rows.len() / count, residuals.len() / count);
    let row = |a: usize| &rows[a * size..][..size];
    let mut complement = vec![0.0; count * count];
    for a in 0..count {
        for b in 0..=a {
            complement[a * count + b] = own(a, b) - dot(row(a), row(b));
        }
    }
    cholesky::factorise_and_solve(&mut complement, count, &mut residuals, classes);
    residuals
}
