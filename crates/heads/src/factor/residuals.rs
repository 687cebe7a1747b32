//! What a solution leaves of the targets.

use rayon::prelude::*;
use regraft_tensor::kernels::isa::Isa;

use super::{Factor, LANES, Shift, Side};
use crate::product::tile;

impl Factor {
    /// The residuals of all samples, times √w, by position.
    pub fn all_residuals(&self, shift: &Shift) -> Vec<f64> {
        self.all_residuals_then(shift, |_, _, _| ())
    }

    /// The same, but for what `then` makes of those of one sample: it is told its position and y D⁻¹ yᵀ.
    pub(super) fn all_residuals_then(
        &self,
        shift: &Shift,
        then: impl Fn(usize, f64, &mut [f64]) + Sync,
    ) -> Vec<f64> {
        let (n, classes, rank) = (self.samples.len(), self.samples.classes(), self.rank());
        let isa = Isa::detect();
        let mut residuals = vec![0.0; n * classes];
        residuals
            .par_chunks_mut(LANES * classes)
            .enumerate()
            .for_each_init(
                || (vec![0.0; rank * LANES], Vec::new()),
                |(y, room), (panel, residuals)| {
                    let z = self.panel(panel, room);
                    let (first, count) = (panel * LANES, residuals.len() / classes);
                    let squares = isa.run(
                        #[inline(always)]
                        || {
                            let squares = shift.forward(z, y);
                            self.residuals(shift, y, count, residuals, |lane| first + lane);
                            squares
                        },
                    );
                    for (lane, of_one) in residuals.chunks_exact_mut(classes).enumerate() {
                        then(first + lane, squares[lane], of_one);
                    }
                },
            );
        residuals
    }

    /// Yᵀ (1 − H) Y, K × K: what the solution leaves of the centred targets.
    pub fn left_of_targets(&self, shift: &Shift) -> Vec<f64> {
        let (classes, rank) = (self.samples.classes(), self.rank());
        let mut products = vec![0.0; classes * classes];
        for j in 0..rank {
            for a in 0..classes {
                for b in 0..classes {
                    products[a * classes + b] +=
                        shift.goal(j, a) * shift.goal(j, b) / shift.inverse[j];
                }
            }
        }
        match self.side {
            Side::Samples => products
                .iter_mut()
                .for_each(|product| *product *= shift.lambda),
            Side::Features => {
                let total = self.samples.total();
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

    /// What `y`, a panel of `count` samples of which the position is told, leaves of their targets.
    #[inline(always)]
    pub(super) fn residuals(
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

    /// y = L⁻¹ z of up to [`LANES`] members, and their residuals; `z` is room.
    pub(super) fn solve_panel(
        &self,
        shift: &Shift,
        members: &[usize],
        z: &mut [f64],
        y: &mut [f64],
        residuals: &mut [f64],
    ) {
        z.fill(0.0);
        for (lane, &i) in members.iter().enumerate() {
            self.coordinates(i, z, lane);
        }
        Isa::detect().run(
            #[inline(always)]
            || {
                shift.forward(z, y);
                self.residuals(shift, y, members.len(), residuals, |lane| members[lane]);
            },
        );
    }
}
