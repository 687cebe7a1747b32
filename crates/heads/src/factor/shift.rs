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
    /// D⁻¹ L⁻¹ Zᵀ Y in panels of [`LANES`] classes, as tiles are multiplied.
    pub(super) goals: Vec<f64>,
}

impl Factor {
    /// The solution for λ = `ratio` times the mean of the squared singular values.
    pub fn shift(&self, ratio: f64) -> Shift {
        let (rank, classes) = (self.rank(), self.samples.classes());
        let lambda = ratio * self.mean_square();
        let (lower, inverse) = factorise(&self.diagonal, &self.beside, 1.0, lambda);
        let mut goals = vec![0.0; rank * classes.next_multiple_of(LANES)];
        let mut before = vec![0.0; classes];
        for j in 0..rank {
            for (k, before) in before.iter_mut().enumerate() {
                *before = self.targets[j * classes + k] - lower[j] * *before;
                goals[place(rank, j, k)] = *before * inverse[j];
            }
        }
        Shift {
            ratio,
            lambda,
            lower,
            inverse,
            goals,
        }
    }
}

impl Shift {
    /// D⁻¹ L⁻¹ Zᵀ Y of coordinate `j` and class `k`.
    pub(super) fn goal(&self, j: usize, k: usize) -> f64 {
        self.goals[place(self.lower.len(), j, k)]
    }

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

/// Where coordinate `j` of class `k` is in panels of `rank` coordinates.
fn place(rank: usize, j: usize, k: usize) -> usize {
    (k / LANES * rank + j) * LANES + k % LANES
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

/// What L has below its diagonal in column `j`; 0 in the last.
pub(crate) fn below(lower: &[f64], j: usize) -> f64 {
    lower.get(j + 1).copied().unwrap_or(0.0)
}
