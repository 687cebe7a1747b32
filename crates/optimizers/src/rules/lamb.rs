//! Lamb: Adam's steps, each parameter's scaled to its own size.

use regraft_settings::{require_decay, require_rate};

use crate::builder::BuiltIn;
use crate::elementwise::{self, sum_of, sum_of_squares};
use crate::{ParameterInfo, Slot, Step, UpdateRule};

rule! {
    /// Lamb. With learning rate η, gradient g and step number t:
    ///
    /// ```text
    /// m ← m + (1 − β₁)(g − m)
    /// v ← v + (1 − β₂)(g² − v)
    /// u = m / (1 − β₁ᵗ) / (√(v / (1 − β₂ᵗ)) + ε)
    /// w ← w − η ‖w‖ / ‖u‖ · u
    /// ```
    ///
    /// where the norms are over the whole parameter, and their ratio is 1 if one of them is zero.
    /// Slots: `momentum` m and `velocity` v.
    ///
    /// Sources: You et al., [*Large Batch Optimization for Deep
    /// Learning*](https://arxiv.org/abs/1904.00962) (2019);
    /// [Keras](https://keras.io/api/optimizers/lamb/).
    #[derive(Clone, Debug)]
    pub struct LambRule as "keras.optimizers.Lamb" of Lamb {
        /// How much of the old mean of the gradient stays, β₁, in `[0, 1)`. Default 0.9.
        beta_1: f64 = 0.9 => require_decay,
        /// How much of the old mean of the squared gradient stays, β₂, in `[0, 1)`. Default 0.999.
        beta_2: f64 = 0.999 => require_decay,
        /// Keeps the denominator from zero, ε ≥ 0. Default 1e-7.
        epsilon: f64 = 1e-7 => require_rate,
    }
}

impl BuiltIn for LambRule {}

impl UpdateRule for LambRule {
    fn slots(&self, parameter: &ParameterInfo) -> Vec<Slot> {
        vec![
            Slot::like(parameter, "momentum"),
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
        let (keep_1, keep_2) = ((1.0 - self.beta_1) as f32, (1.0 - self.beta_2) as f32);
        let epsilon = self.epsilon as f32;
        let rest_1 = 1.0 - (self.beta_1 as f32).powf(step.count as f32);
        let rest_2 = 1.0 - (self.beta_2 as f32).powf(step.count as f32);
        elementwise::two_slots(value, gradient, slots, |w, g, m, v| {
            (w, m + (g - m) * keep_1, v + (g * g - v) * keep_2)
        });
        // Computed twice rather than kept, so that no memory is needed.
        let direction = move |m: f32, v: f32| m / rest_1 / ((v / rest_2).sqrt() + epsilon);
        let of_value = sum_of_squares(value).sqrt() as f32;
        let of_direction = sum_of(slots[0], slots[1], direction).sqrt() as f32;
        let ratio = if of_value > 0.0 && of_direction > 0.0 {
            of_value / of_direction
        } else {
            1.0
        };
        let rate = ratio * step.learning_rate;
        elementwise::two_slots(value, gradient, slots, |w, _, m, v| {
            (w - rate * direction(m, v), m, v)
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::golden;
    use crate::rules::Lamb;

    #[test]
    fn every_variant_moves_as_in_keras() {
        golden::compare("Lamb");
    }

    #[test]
    fn the_defaults_are_those_of_keras() {
        golden::compare_defaults(Lamb::default());
    }
}
