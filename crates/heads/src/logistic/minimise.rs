//! The minimum of the penalised loss, by L-BFGS.

use super::problem::Problem;
use crate::factor::factorise;
use crate::product::{add_scaled, dot};

/// Pairs of steps that L-BFGS remembers.
const MEMORY: usize = 10;

impl Problem<'_> {
    /// The largest element of the gradient over the samples that count, where all weights are 0.
    pub(super) fn steepness(&self, counts: &[bool]) -> f64 {
        let (zeros, mut derivative) = (self.room(), self.room());
        self.along(&zeros, &zeros, 0.0, counts, Some(&mut derivative));
        largest(&self.gradient(&derivative))
    }

    /// Moves `state` to the minimum over the samples that count: until no element of the gradient exceeds `goal`. False
    /// if that takes more steps than may be taken.
    pub(super) fn minimise(
        &self,
        state: &mut [f64],
        counts: &[bool],
        c: f64,
        goal: f64,
        steps: usize,
    ) -> bool {
        let (rank, padded) = (self.rank, self.padded());
        let penalty = 1.0 / (c * self.total);
        let (lower, inverse) = factorise(&self.diagonal, &self.beside, 0.5 / self.total, penalty);
        // The curvature of biases is at most ½.
        let precondition = |gradient: &mut [f64]| {
            let (rows, biases) = gradient.split_at_mut(rank * padded);
            for j in 1..rank {
                let (above, row) = rows.split_at_mut(j * padded);
                add_scaled(&mut row[..padded], -lower[j], &above[(j - 1) * padded..]);
            }
            for j in (0..rank).rev() {
                let (row, below) = rows[j * padded..].split_at_mut(padded);
                row.iter_mut().for_each(|x| *x *= inverse[j]);
                if j + 1 < rank {
                    add_scaled(row, -lower[j + 1], &below[..padded]);
                }
            }
            biases.iter_mut().for_each(|x| *x *= 2.0);
        };
        let (mut scores, mut derivative, mut change) = (self.room(), self.room(), self.room());
        let zeros = self.room();
        let penalised = |weights: &[f64], gradient: &mut [f64]| {
            add_scaled(
                &mut gradient[..rank * padded],
                penalty,
                &weights[..rank * padded],
            );
        };
        self.scores(state, &mut scores);
        let (mut loss, _) = self.along(&scores, &zeros, 0.0, counts, Some(&mut derivative));
        let mut gradient = self.gradient(&derivative);
        penalised(state, &mut gradient);
        let mut memory: Vec<(Vec<f64>, Vec<f64>, f64)> = Vec::new();
        for _ in 0..steps {
            if largest(&gradient) <= goal {
                return true;
            }
            // L-BFGS' two loops.
            let mut direction: Vec<f64> = gradient.iter().map(|x| -x).collect();
            let mut factors = Vec::with_capacity(memory.len());
            for (s, y, by) in memory.iter().rev() {
                let factor = dot(s, &direction) / by;
                add_scaled(&mut direction, -factor, y);
                factors.push(factor);
            }
            precondition(&mut direction);
            for ((s, y, by), factor) in memory.iter().zip(factors.iter().rev()) {
                let other = dot(y, &direction) / by;
                add_scaled(&mut direction, factor - other, s);
            }
            let mut slope = dot(&direction, &gradient);
            if slope >= 0.0 {
                // Rounding has spoilt what is remembered.
                if memory.is_empty() {
                    return true;
                }
                memory.clear();
                direction = gradient.iter().map(|x| -x).collect();
                precondition(&mut direction);
                slope = dot(&direction, &gradient);
            }
            self.scores(&direction, &mut change);
            let weights = ..rank * padded;
            let squares = [
                dot(&state[weights], &state[weights]),
                dot(&state[weights], &direction[weights]),
                dot(&direction[weights], &direction[weights]),
            ];
            let start = loss + 0.5 * penalty * squares[0];
            let step = step_along(start, slope, |step| {
                let (value, by) = self.along(&scores, &change, step, counts, None);
                let value = value
                    + 0.5 * penalty * (squares[0] + step * (2.0 * squares[1] + step * squares[2]));
                (value, by + penalty * (squares[1] + step * squares[2]))
            });
            add_scaled(&mut scores, step, &change);
            let before = std::mem::take(&mut gradient);
            add_scaled(state, step, &direction);
            (loss, _) = self.along(&scores, &zeros, 0.0, counts, Some(&mut derivative));
            gradient = self.gradient(&derivative);
            penalised(state, &mut gradient);
            let difference: Vec<f64> = gradient.iter().zip(&before).map(|(a, b)| a - b).collect();
            direction.iter_mut().for_each(|x| *x *= step);
            let by = dot(&direction, &difference);
            if by
                > 1e-14 * dot(&difference, &difference).sqrt() * dot(&direction, &direction).sqrt()
            {
                if memory.len() == MEMORY {
                    memory.remove(0);
                }
                memory.push((direction, difference, by));
            }
        }
        largest(&gradient) <= goal
    }
}

/// A step for which the strong Wolfe conditions hold along a convex function, whose slope grows with the step. At 0 it
/// is `start` with a slope of `slope`; `at` tells its value and slope at a step.
fn step_along(start: f64, slope: f64, at: impl Fn(f64) -> (f64, f64)) -> f64 {
    let (mut low, mut high) = (0.0, f64::INFINITY);
    let mut slope_low = slope;
    let mut step = 1.0;
    for _ in 0..30 {
        let (value, by) = at(step);
        // At the end differences of the loss are rounding alone; the slope still tells.
        let descends =
            value <= start + 1e-4 * step * slope || (value - start).abs() <= 1e-13 * start.abs();
        if descends && by.abs() <= 0.9 * slope.abs() {
            break;
        }
        if by > 0.0 || !descends {
            // The slope's zero by the secant, not too near the ends.
            high = step;
            let zero =
                low + (step - low) * slope_low / (slope_low - by.max(1e-3 * slope_low.abs()));
            step = zero.clamp(low + 0.1 * (high - low), high - 0.1 * (high - low));
        } else {
            (low, slope_low) = (step, by);
            step = if high.is_finite() {
                0.5 * (low + high)
            } else {
                4.0 * step
            };
        }
    }
    step
}

/// The largest element, whatever its sign.
fn largest(gradient: &[f64]) -> f64 {
    gradient.iter().fold(0.0, |a, &b| a.max(b.abs()))
}
