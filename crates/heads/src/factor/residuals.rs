//! What a solution leaves of the targets.

use rayon::prelude::*;
use regraft_tensor::kernels::isa::Isa;

use super::{Factor, LANES, Shift, Side};
use crate::product::tile;

impl Factor {
    /// The residuals of all samples, times √w, by position.
    pub fn all_residuals(&self, shift: &Shift) -> Vec<f64> {
        let (n, classes, rank) = (self.samples.len(), self.samples.classes(), self.rank());
        let isa = Isa::detect();
        let mut residuals = vec![0.0; n * classes];
        residuals
            .par_chunks_mut(LANES * classes)
            .zip(self.panels.par_chunks_exact(rank * LANES))
            .enumerate()
            .for_each_init(
                || vec![0.0; rank * LANES],
                |y, (panel, (residuals, z))| {
                    isa.run(
                        #[inline(always)]
                        || {
                            shift.forward(z, y);
                            let count = residuals.len() / classes;
                            self.residuals(shift, y, count, residuals, |lane| panel * LANES + lane);
                        },
                    );
                },
            );
        residuals
    }

    /// Yᵀ (1 − H) Y, K × K: what the solution leaves of the centred targets.
    pub fn left_of_targets(&self, shift: &Shift) -> Vec<f64> {
        let (classes, rank) = (self.samples.classes(), self.rank());
        let mut products = vec![0.0; classes * classes];
        for j in 0..rank {
            let goal = |k: usize| shift.goals[(k / LANES * rank + j) * LANES + k % LANES];
            for a in 0..classes {
                for b in 0..classes {
                    products[a * classes + b] += goal(a) * goal(b) / shift.inverse[j];
                }
            }
        }
        match self.side {
            Side::Samples => products
                .iter_mut()
                .for_each(|product| *product *= shift.lambda),
            Side::Features => {
                let total = self.total();
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

    /// The centred target, times √w.
    fn target(&self, i: usize, k: usize) -> f64 {
        let one = if self.samples.labels[i] == k {
            1.0
        } else {
            0.0
        };
        self.roots[i] * (one - self.priors[k])
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
        let rank = self.rank();
        z.fill(0.0);
        for (lane, &i) in members.iter().enumerate() {
            let from = &self.panels[i / LANES * rank * LANES..][..rank * LANES];
            for (z, from) in z.chunks_exact_mut(LANES).zip(from.chunks_exact(LANES)) {
                z[lane] = from[i % LANES];
            }
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
