//! The solution for one λ, in the coordinates of the factorisation.

use super::{Factor, LANES};

/// The solution for one λ.
pub(crate) struct Shift {
    /// In units of the squared singular values' mean.
    pub ratio: f64,
    pub(super) lambda: f64,
    /// L beside its diagonal of ones.
    pub(super) lower: Vec<f64>,
    /// D⁻¹
    pub(super) inverse: Vec<f64>,
    /// D⁻¹ L⁻¹ Zᵀ Y, a row of each coordinate, padded to whole lanes.
    pub(super) goals: Vec<f64>,
}

impl Factor {
    /// The solution for λ = `ratio` times the mean of the squared singular values.
    pub fn shift(&self, ratio: f64) -> Shift {
        let (rank, classes) = (self.rank(), self.samples.classes());
        let lambda = ratio * self.mean_square();
        let (lower, inverse) = factorise(&self.diagonal, &self.beside, 1.0, lambda);
        let padded = classes.next_multiple_of(LANES);
        let mut goals = vec![0.0; rank * padded];
        let mut before = vec![0.0; classes];
        for j in 0..rank {
            for (k, before) in before.iter_mut().enumerate() {
                *before = self.targets[j * classes + k] - lower[j] * *before;
                goals[j * padded + k] = *before * inverse[j];
            }
        }
        // In panels of columns, as tiles are multiplied.
        let mut panels = vec![0.0; goals.len()];
        for (panel, out) in panels.chunks_exact_mut((rank * LANES).max(1)).enumerate() {
            for (j, out) in out.chunks_exact_mut(LANES).enumerate() {
                out.copy_from_slice(&goals[j * padded + panel * LANES..][..LANES]);
            }
        }
        Shift {
            ratio,
            lambda,
            lower,
            inverse,
            goals: panels,
        }
    }
}

impl Shift {
    /// y = L⁻¹ z for a panel; returns y D⁻¹ yᵀ of each lane.
    #[inline(always)]
    pub(super) fn forward(&self, z: &[f64], y: &mut [f64]) -> [f64; LANES] {
        let (z, _) = z.as_chunks::<LANES>();
        let (y, _) = y.as_chunks_mut::<LANES>();
        let (mut before, mut squares) = ([0.0; LANES], [0.0; LANES]);
        for (((z, y), lower), inverse) in z.iter().zip(y).zip(&self.lower).zip(&self.inverse) {
            for lane in 0..LANES {
                before[lane] = z[lane] - lower * before[lane];
                squares[lane] += before[lane] * before[lane] * inverse;
            }
            *y = before;
        }
        squares
    }
}

/// L beside its diagonal of ones, and D⁻¹, of `scale` · T + `shift` = L D Lᵀ. T has no negative eigenvalues but by
/// rounding, so that no pivot is below `shift`.
pub(crate) fn factorise(
    diagonal: &[f64],
    beside: &[f64],
    scale: f64,
    shift: f64,
) -> (Vec<f64>, Vec<f64>) {
    let (mut lower, mut inverse) = (vec![0.0; diagonal.len()], vec![0.0; diagonal.len()]);
    for j in 0..diagonal.len() {
        let mut pivot = scale * diagonal[j] + shift;
        if j > 0 {
            let beside = scale * beside[j - 1];
            lower[j] = beside * inverse[j - 1];
            pivot -= lower[j] * beside;
        }
        inverse[j] = 1.0 / pivot.max(shift);
    }
    (lower, inverse)
}
