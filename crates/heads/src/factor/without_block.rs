//! What samples' targets differ by from the scores of the solution without their block.

use super::{Blocks, Factor, Shift};
use crate::cholesky;

impl Factor {
    /// What every sample's targets differ by from the scores of the solution without its block: e = (1 − H)⁻¹ r,
    /// times √w, by position, one of each class.
    pub fn errors_without(&self, shift: &Shift, blocks: &Blocks) -> Vec<f64> {
        let (n, classes) = (self.samples.len(), self.samples.classes());
        let mut errors = match blocks.all.iter().any(|block| block.len() == 1) {
            true => self.all_residuals_then(shift, |i, square, residuals| {
                let rest = self.rest(shift, i, i, square);
                residuals.iter_mut().for_each(|residual| *residual /= rest);
            }),
            false => vec![0.0; n * classes],
        };
        blocks.write(2, &mut errors, classes, |members| {
            self.errors_of(shift, members, |_| ())
        });
        errors
    }

    /// The residuals of every sample by the solution of all, and [`errors_without`](Self::errors_without).
    pub fn residuals_and_errors(&self, shift: &Shift, blocks: &Blocks) -> (Vec<f64>, Vec<f64>) {
        if blocks.all.iter().any(|block| block.len() == 1) {
            let errors = self.errors_without(shift, blocks);
            return (self.all_residuals(shift), errors);
        }
        // Solving a block has its residuals on the way.
        let (n, classes) = (self.samples.len(), self.samples.classes());
        let mut both = vec![0.0; 2 * n * classes];
        blocks.write(2, &mut both, 2 * classes, |members| {
            let mut residuals = Vec::new();
            let errors = self.errors_of(shift, members, |of_block| residuals.extend(of_block));
            let rows = residuals
                .chunks_exact(classes)
                .zip(errors.chunks_exact(classes));
            rows.flat_map(|(r, e)| r.iter().chain(e)).copied().collect()
        });
        let (mut residuals, mut errors) = (Vec::new(), Vec::new());
        for row in both.chunks_exact(2 * classes) {
            residuals.extend_from_slice(&row[..classes]);
            errors.extend_from_slice(&row[classes..]);
        }
        (residuals, errors)
    }

    /// The scores that go with such errors.
    pub fn scores(&self, errors: Vec<f64>) -> Vec<f64> {
        self.scores_of(0..self.samples.len(), errors)
    }

    /// The scores that go with such errors of some samples.
    pub(super) fn scores_of(
        &self,
        members: impl IntoIterator<Item = usize>,
        mut errors: Vec<f64>,
    ) -> Vec<f64> {
        let rows = errors.chunks_exact_mut(self.samples.classes());
        for (i, row) in members.into_iter().zip(rows) {
            for (k, score) in row.iter_mut().enumerate() {
                *score = self.score(i, k, *score);
            }
        }
        errors
    }

    /// The score of a sample that goes with such an error.
    pub fn score(&self, i: usize, k: usize, error: f64) -> f64 {
        self.samples.target(i, k) - error / self.roots[i]
    }

    /// e = (1 − H)⁻¹ r of samples that are left out together, times √w; one row of each. NaN where rounding has made
    /// 1 − H singular: with λ > 0 and a sample outside it is positive definite. `residuals` is shown r.
    fn errors_of(
        &self,
        shift: &Shift,
        members: &[usize],
        residuals: impl FnOnce(&[f64]),
    ) -> Vec<f64> {
        let (size, classes) = (members.len(), self.samples.classes());
        if self.is_large(size) {
            let (correction, mut errors) = self.correction(shift, members);
            residuals(&errors);
            match correction {
                Some((_, by)) => self.add(shift, members, &mut errors, &by),
                None => errors.fill(f64::NAN),
            }
            return errors;
        }
        let (mut rest, mut errors) = self.rest_and_residuals(shift, members);
        residuals(&errors);
        cholesky::factorise_and_solve(&mut rest, size, &mut errors, classes);
        errors
    }
}
