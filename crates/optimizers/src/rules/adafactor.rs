//! Adafactor: keeps the squared gradients of a matrix as one number per row and one per column.

use regraft_settings::{require_positive, require_rate};

use super::require_not_above_zero;
use crate::builder::BuiltIn;
use crate::elementwise::{self, sum_of, sum_of_squares};
use crate::{ParameterInfo, Slot, Step, UpdateRule};

rule! {
    /// Adafactor. With learning rate η, gradient g, step number t and β = 1 − t^`beta_2_decay`:
    ///
    /// ```text
    /// s = g² + ε₁
    /// r ← β r + (1 − β) · mean of s over columns       (rank 2 and more: the last two axes are
    /// c ← β c + (1 − β) · mean of s over rows           rows and columns, the others a batch)
    /// v ← r / mean(r) · c
    /// v ← β v + (1 − β) s                              (rank below 2)
    /// u = g / √v
    /// û = u / max(1, rms(u) / clip_threshold)
    /// w ← w − max(ε₂, rms(w)) · min(η, 1 / √t) · û
    /// ```
    ///
    /// Slots: r, c and `velocity` v. (In the paper v is not kept; in Keras it is, so that Adafactor
    /// saves no memory. For a rank below 2, Keras stores two zeros in place of r and c.)
    /// `relative_step` changes nothing in Keras 3 either, since the learning rate is limited by 1 / √t
    /// in any case. Where v underflows to zero, which makes Keras' step 0 / 0, the element does not
    /// move here.
    ///
    /// Sources: Shazeer & Stern, [*Adafactor*](https://arxiv.org/abs/1804.04235) (2018);
    /// [Keras](https://keras.io/api/optimizers/adafactor/).
    #[derive(Clone, Debug)]
    pub struct AdafactorRule as "keras.optimizers.Adafactor" of Adafactor {
        /// The power of t in β, zero or less. Default -0.8.
        beta_2_decay: f64 = -0.8 => require_not_above_zero,
        /// Keeps the squared gradient from zero, ε₁ ≥ 0. Default 1e-30.
        epsilon_1: f64 = 1e-30 => require_rate,
        /// The least size a parameter is taken to have, ε₂ ≥ 0. Default 1e-3.
        epsilon_2: f64 = 1e-3 => require_rate,
        /// The largest root mean square of a step, above zero. Default 1.
        clip_threshold: f64 = 1.0 => require_positive,
        /// Kept for Keras' sake; it changes nothing. Default yes.
        relative_step: bool = true,
    }
}

impl BuiltIn for AdafactorRule {}

/// Columns that are summed up at a time.
const TILE: usize = 64;

impl AdafactorRule {
    /// Moves r, c and v of one matrix.
    fn factor(
        &self,
        beta: f32,
        columns: usize,
        gradient: &[f32],
        (r, c, v): (&mut [f32], &mut [f32], &mut [f32]),
    ) {
        let rows = r.len();
        for (mean, row) in r.iter_mut().zip(gradient.chunks_exact(columns)) {
            let square = sum_of_squares(row) / columns as f64 + self.epsilon_1;
            *mean = beta * *mean + (1.0 - beta) * square as f32;
        }
        for (tile, means) in c.chunks_mut(TILE).enumerate() {
            let mut sums = [0.0; TILE];
            for row in gradient.chunks_exact(columns) {
                let part = &row[tile * TILE..][..means.len()];
                for (sum, &g) in sums.iter_mut().zip(part) {
                    *sum += f64::from(g) * f64::from(g);
                }
            }
            for (mean, sum) in means.iter_mut().zip(sums) {
                let square = sum / rows as f64 + self.epsilon_1;
                *mean = beta * *mean + (1.0 - beta) * square as f32;
            }
        }
        let sum: f64 = r.iter().map(|&r| f64::from(r)).sum();
        let mean = (sum / rows as f64) as f32;
        for (row, &r) in v.chunks_exact_mut(columns).zip(&*r) {
            let share = r / mean;
            elementwise::no_slots(row, c, |_, c| share * c);
        }
    }
}

impl UpdateRule for AdafactorRule {
    fn slots(&self, parameter: &ParameterInfo) -> Vec<Slot> {
        let (r, c) = match parameter.shape.as_slice() {
            [batch @ .., rows, columns] => {
                ([batch, &[*rows]].concat(), [batch, &[*columns]].concat())
            }
            _ => (Vec::new(), Vec::new()),
        };
        vec![
            Slot::like(parameter, "r").shape(r),
            Slot::like(parameter, "c").shape(c),
            Slot::like(parameter, "velocity"),
        ]
    }

    fn update(
        &self,
        step: &Step<'_>,
        value: &mut [f32],
        gradient: &[f32],
        slots: &mut [&mut [f32]],
    ) {
        let [r, c, v, ..] = slots else {
            panic!("fewer than three slots");
        };
        if value.is_empty() {
            return;
        }
        let count = step.count as f32;
        let beta = 1.0 - count.powf(self.beta_2_decay as f32);
        if let [.., rows, columns] = step.parameter.shape[..] {
            let size = rows * columns;
            let batch = gradient.chunks_exact(size).zip(v.chunks_exact_mut(size));
            let factors = r.chunks_exact_mut(rows).zip(c.chunks_exact_mut(columns));
            for ((gradient, v), (r, c)) in batch.zip(factors) {
                self.factor(beta, columns, gradient, (r, c, v));
            }
        } else {
            let epsilon = self.epsilon_1 as f32;
            elementwise::no_slots(v, gradient, |v, g| {
                beta * v + (1.0 - beta) * (g * g + epsilon)
            });
        }
        let direction = |g: f32, v: f32| if v == 0.0 { 0.0 } else { g / v.sqrt() };
        let root_mean_square = |sum: f64| (sum / gradient.len() as f64).sqrt() as f32;
        let of_value = root_mean_square(sum_of_squares(value));
        let of_direction = root_mean_square(sum_of(gradient, v, direction));
        let rate = step.learning_rate.min(1.0 / count.sqrt());
        let rate = of_value.max(self.epsilon_2 as f32) * rate;
        let over = (of_direction / self.clip_threshold as f32).max(1.0);
        elementwise::one_slot(value, gradient, &mut [&mut **v], |w, g, v| {
            (w - rate * (direction(g, v) / over), v)
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::golden;
    use crate::rules::Adafactor;
    use crate::{ParameterInfo, ParameterUpdate};

    #[test]
    fn every_variant_moves_as_in_keras() {
        golden::compare("Adafactor");
    }

    #[test]
    fn the_defaults_are_those_of_keras() {
        golden::compare_defaults(Adafactor::default());
    }

    #[test]
    fn a_row_and_a_column_without_gradient_stay() {
        let mut optimizer = Adafactor::new(0.1).build().unwrap();
        let plan = optimizer
            .prepare(&[ParameterInfo::new("dense/kernel", [2, 2])])
            .unwrap();
        let mut value = [1.0, 2.0, 3.0, 4.0];
        let update = ParameterUpdate {
            value: &mut value,
            gradient: &[0.0, 0.0, 0.0, 5.0],
        };
        optimizer.apply(&plan, &mut [update]).unwrap();
        assert_eq!(value[..3], [1.0, 2.0, 3.0]);
        assert!(value[3] < 4.0);
    }
}
