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
                        add_scaled(error, -factor, &half[j * classes..][..classes]);
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
}
