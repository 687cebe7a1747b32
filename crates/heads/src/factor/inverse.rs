//! The inverse of the features' regularised scatter.

use rayon::prelude::*;

use super::{Factor, LANES, Shift, Side};
use crate::product::{Part, View, add_product, identity};

impl Factor {
    /// (Xᵀ X + λ)⁻¹ of the features as they were given, features × features.
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
                let mut rows = identity(width);
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
                let mut rows = Vec::with_capacity(n.next_multiple_of(LANES) * rank);
                let mut room = Vec::new();
                for panel in 0..n.div_ceil(LANES) {
                    let panel = self.panel(panel, &mut room);
                    for lane in 0..LANES {
                        rows.extend(panel.iter().skip(lane).step_by(LANES));
                    }
                }
                rows.truncate(n * rank);
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
}
