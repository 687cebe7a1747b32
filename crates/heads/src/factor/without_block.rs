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
            self.errors_of(shift, members)
        });
        errors
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
    /// 1 − H singular: with λ > 0 and a sample outside it is positive definite.
    fn errors_of(&self, shift: &Shift, members: &[usize]) -> Vec<f64> {
        let (size, classes) = (members.len(), self.samples.classes());
        if self.is_large(size) {
            let (rows, errors) = self.rows_and_residuals(shift, members);
            return self.correct(&rows, errors);
        }
        let (mut rest, mut errors) = self.rest_and_residuals(shift, members);
        cholesky::factorise_and_solve(&mut rest, size, &mut errors, classes);
        errors
    }
}
