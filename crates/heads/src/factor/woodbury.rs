//! Leaving out more samples than there are coordinates.

use super::{Factor, Shift};
use crate::cholesky;
use crate::product::{Part, View, add_product, identity};

/// Bytes of rows of U that are in memory together.
const BLOCK: usize = 16 << 20;
/// Sums of products are of whole runs of so many, so that they are those of all rows together.
const RUN: usize = 256;

impl Factor {
    /// Whether so many samples are more than coordinates. Then with H = U Uᵀ, where U has a column of each coordinate
    /// and one of the shares, (1 − U Uᵀ)⁻¹ = 1 + U (1 − UᵀU)⁻¹ Uᵀ (Woodbury's formula) needs less memory and time.
    pub(super) fn is_large(&self, size: usize) -> bool {
        self.by_features() && size > self.rank() + 1
    }

    /// Samples whose rows of U are in memory together.
    fn together(&self) -> usize {
        RUN * (BLOCK / (8 * RUN * (self.rank() + 1))).max(1)
    }

    /// The factor of C = 1 − UᵀU of `members`, C⁻¹ Uᵀ r, and their residuals r. `None` instead of the first two if C is
    /// singular.
    #[allow(clippy::type_complexity)]
    pub(super) fn correction(
        &self,
        shift: &Shift,
        members: &[usize],
    ) -> (Option<(Vec<f64>, Vec<f64>)>, Vec<f64>) {
        let (size, classes) = (self.rank() + 1, self.samples.classes());
        let mut c = identity(size);
        let mut by = vec![0.0; size * classes];
        let mut residuals = Vec::with_capacity(members.len() * classes);
        for members in members.chunks(self.together()) {
            let (rows, own) = self.rows_and_residuals(shift, members);
            let u = View::new(&rows, members.len(), size, size);
            add_product(&mut c, size, -1.0, u.transposed(), u, Part::Upper);
            let r = View::new(&own, members.len(), classes, classes);
            add_product(&mut by, classes, 1.0, u.transposed(), r, Part::All);
            residuals.extend(own);
        }
        for i in 0..size {
            (0..i).for_each(|j| c[i * size + j] = c[j * size + i]);
        }
        if !cholesky::factorise(&mut c, size) {
            return (None, residuals);
        }
        cholesky::solve(&c, size, &mut by, classes);
        (Some((c, by)), residuals)
    }

    /// Adds U `by` of `members`.
    pub(super) fn add(&self, shift: &Shift, members: &[usize], residuals: &mut [f64], by: &[f64]) {
        let classes = self.samples.classes();
        let together = self.together();
        let parts = members.chunks(together);
        for (members, residuals) in parts.zip(residuals.chunks_mut(together * classes)) {
            let (rows, _) = self.rows_and_residuals(shift, members);
            self.add_rows(residuals, &rows, by);
        }
    }

    /// Adds U `by` of these rows of U.
    pub(super) fn add_rows(&self, residuals: &mut [f64], rows: &[f64], by: &[f64]) {
        let (size, classes) = (self.rank() + 1, self.samples.classes());
        let u = View::new(rows, rows.len() / size, size, size);
        let by = View::new(by, size, classes, classes);
        add_product(residuals, classes, 1.0, u, by, Part::All);
    }

    /// e = r + U C⁻¹ Uᵀ r of these rows of U and residuals r, with C = 1 − UᵀU. NaN if C is singular.
    pub(super) fn correct_rows(&self, rows: &[f64], mut residuals: Vec<f64>) -> Vec<f64> {
        let (size, classes) = (self.rank() + 1, self.samples.classes());
        let count = rows.len() / size;
        let u = View::new(rows, count, size, size);
        let mut c = identity(size);
        add_product(&mut c, size, -1.0, u.transposed(), u, Part::Upper);
        for i in 0..size {
            (0..i).for_each(|j| c[i * size + j] = c[j * size + i]);
        }
        let mut by = vec![0.0; size * classes];
        let r = View::new(&residuals, count, classes, classes);
        add_product(&mut by, classes, 1.0, u.transposed(), r, Part::All);
        cholesky::factorise_and_solve(&mut c, size, &mut by, classes);
        self.add_rows(&mut residuals, rows, &by);
        residuals
    }
}
