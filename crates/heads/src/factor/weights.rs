//! The way back to the features as they were given.

use super::{Factor, Shift, Side, below};
use crate::product::{Part, View, add_product};

impl Factor {
    /// The head's kernel, features × classes, and bias, for features as they were given.
    pub fn weights(&self, shift: &Shift) -> (Vec<f64>, Vec<f64>) {
        let (classes, rank) = (self.samples.classes(), self.rank());
        // (T + λ)⁻¹ Zᵀ Y = L⁻ᵀ goals, a row of each class.
        let skip = self.skipped();
        let mut rows = vec![0.0; classes * (rank + skip)];
        for (k, row) in rows.chunks_exact_mut(rank + skip).enumerate() {
            let mut after = 0.0;
            for j in (0..rank).rev() {
                after = shift.goal(j, k) - below(&shift.lower, j) * after;
                row[skip + j] = after;
            }
        }
        self.to_features(rows)
    }

    /// From the coordinates of Q, a row of each class (behind those that were left away), to a kernel for features as
    /// they were given, and its bias: the shares of classes, less what the means give.
    pub fn to_features(&self, mut rows: Vec<f64>) -> (Vec<f64>, Vec<f64>) {
        let (classes, width) = (self.samples.classes(), self.samples.width);
        self.tridiagonal.rotate_back(&mut rows);
        let mut kernel = vec![0.0; width * classes];
        match self.side {
            Side::Features => {
                for (k, row) in rows.chunks_exact(width).enumerate() {
                    row.iter()
                        .enumerate()
                        .for_each(|(j, value)| kernel[j * classes + k] = *value);
                }
            }
            Side::Samples => {
                let n = self.samples.len();
                let alpha = View::new(&rows[1..], classes, n, n + 1).transposed();
                let x = View::new(&self.centred, n, width, width).transposed();
                add_product(&mut kernel, classes, 1.0, x, alpha, Part::All);
            }
        }
        kernel.iter_mut().for_each(|value| *value *= self.unit);
        let mut bias = self.priors.clone();
        for (mean, row) in self.means.iter().zip(kernel.chunks_exact(classes)) {
            bias.iter_mut()
                .zip(row)
                .for_each(|(bias, weight)| *bias -= mean * weight);
        }
        (kernel, bias)
    }
}
