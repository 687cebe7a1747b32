//! The scatter of all samples, of the class means, and within classes.

use super::{Factor, Side};
use crate::product::dot;

impl Factor {
    /// Zᵀ Y, of each class by itself.
    fn target_columns(&self) -> Vec<Vec<f64>> {
        let classes = self.samples.classes();
        let column = |k: usize| self.targets.iter().skip(k).step_by(classes).copied();
        (0..classes).map(|k| column(k).collect()).collect()
    }

    /// tr A and tr B, of the scatter of all samples and of the class means: Σ w |x|² and Σ w |m|².
    pub fn scatter(&self) -> (f64, f64) {
        let columns = self.target_columns();
        let of_means = columns
            .iter()
            .zip(self.class_totals())
            .map(|(column, weight)| {
                let square = match self.side {
                    Side::Features => dot(column, column),
                    Side::Samples => dot(column, &times(&self.diagonal, &self.beside, column)),
                };
                square / weight
            })
            .sum();
        (self.diagonal.iter().sum(), of_means)
    }

    /// The sum of the squares of the scatter within classes, of all pairs of features.
    pub fn square_within(&self) -> f64 {
        let columns = self.target_columns();
        let moved: Vec<Vec<f64>> = columns
            .iter()
            .map(|column| times(&self.diagonal, &self.beside, column))
            .collect();
        let weights = self.class_totals();
        let mut sum = dot(&self.diagonal, &self.diagonal) + 2.0 * dot(&self.beside, &self.beside);
        for a in 0..columns.len() {
            // m A m and the products of means, with X Xᵀ in the place of 1 where the rows are of samples.
            let (square, other) = match self.side {
                Side::Features => (dot(&columns[a], &moved[a]), &columns),
                Side::Samples => (dot(&moved[a], &moved[a]), &moved),
            };
            sum -= 2.0 * square / weights[a];
            for (b, other) in other.iter().enumerate() {
                let product = dot(&columns[a], other);
                sum += product * product / (weights[a] * weights[b]);
            }
        }
        sum
    }
}

/// T x
fn times(diagonal: &[f64], beside: &[f64], x: &[f64]) -> Vec<f64> {
    let mut y: Vec<f64> = diagonal.iter().zip(x).map(|(d, x)| d * x).collect();
    for j in 1..x.len() {
        y[j] += beside[j - 1] * x[j - 1];
        y[j - 1] += beside[j - 1] * x[j];
    }
    y
}
