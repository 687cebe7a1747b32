//! 1 − H, where H makes of the targets what is predicted for them: of samples that are left out together.

use rayon::prelude::*;
use regraft_tensor::kernels::isa::Isa;

use super::{Factor, LANES, Shift, Side};
use crate::product::tile;

impl Factor {
    /// (1 − H) of two samples, where `product` is y D⁻¹ yᵀ of the two.
    pub(super) fn rest(&self, shift: &Shift, i: usize, j: usize, product: f64) -> f64 {
        match self.side {
            Side::Features => {
                (if i == j { 1.0 } else { 0.0 }) - self.shares[i] * self.shares[j] - product
            }
            Side::Samples => shift.lambda * product,
        }
    }

    /// (1 − H) of `members` among themselves and their residuals.
    pub(super) fn rest_and_residuals(
        &self,
        shift: &Shift,
        members: &[usize],
    ) -> (Vec<f64>, Vec<f64>) {
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

    /// Rows of U of `members`, where H = U Uᵀ, and their residuals: y D^−½ and the share.
    pub(super) fn rows_and_residuals(
        &self,
        shift: &Shift,
        members: &[usize],
    ) -> (Vec<f64>, Vec<f64>) {
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
}
