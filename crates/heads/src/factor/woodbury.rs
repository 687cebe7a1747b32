//! Leaving out more samples than there are coordinates.

use super::Factor;
use crate::cholesky;
use crate::product::{Part, View, add_product, identity};

impl Factor {
    /// Whether so many samples are more than coordinates. Then with H = U Uᵀ, where U has a column of each coordinate
    /// and one of the shares, (1 − U Uᵀ)⁻¹ = 1 + U (1 − UᵀU)⁻¹ Uᵀ (Woodbury's formula) needs less memory and time.
    pub(super) fn is_large(&self, size: usize) -> bool {
        self.by_features() && size > self.rank() + 1
    }

    /// e = r + U C⁻¹ Uᵀ r of residuals r, with C = 1 − UᵀU. NaN if C is singular.
    pub(super) fn correct(&self, rows: &[f64], mut residuals: Vec<f64>) -> Vec<f64> {
        match self.correction(rows, &residuals) {
            Some((_, by)) => self.add(&mut residuals, rows, &by),
            None => residuals.fill(f64::NAN),
        }
        residuals
    }

    /// The factor of C, and C⁻¹ Uᵀ r.
    pub(super) fn correction(
        &self,
        rows: &[f64],
        residuals: &[f64],
    ) -> Option<(Vec<f64>, Vec<f64>)> {
        let (size, classes) = (self.rank() + 1, self.samples.classes());
        let count = rows.len() / size;
        let u = View::new(rows, count, size, size);
        let mut c = identity(size);
        add_product(&mut c, size, -1.0, u.transposed(), u, Part::Upper);
        for i in 0..size {
            (0..i).for_each(|j| c[i * size + j] = c[j * size + i]);
        }
        if !cholesky::factorise(&mut c, size) {
            return None;
        }
        let mut by = vec![0.0; size * classes];
        let r = View::new(residuals, count, classes, classes);
        add_product(&mut by, classes, 1.0, u.transposed(), r, Part::All);
        cholesky::solve(&c, size, &mut by, classes);
        Some((c, by))
    }

    /// Adds U `by`.
    pub(super) fn add(&self, residuals: &mut [f64], rows: &[f64], by: &[f64]) {
        let (size, classes) = (self.rank() + 1, self.samples.classes());
        let u = View::new(rows, rows.len() / size, size, size);
        let by = View::new(by, size, classes, classes);
        add_product(residuals, classes, 1.0, u, by, Part::All);
    }
}
