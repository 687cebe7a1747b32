//! What samples' targets differ by from the scores of the solution without their block.

use rayon::prelude::*;
use regraft_tensor::kernels::isa::Isa;

use super::{Blocks, Factor, LANES, Shift};
use crate::cholesky;

impl Factor {
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
}
