//! Adamax: Adam with the largest gradient in place of the root mean square.

use regraft_settings::{require_decay, require_rate};

use crate::builder::BuiltIn;
use crate::{ParameterInfo, Slot, Step, UpdateRule, elementwise};

rule! {
    /// Adamax. With learning rate η, gradient g and step number t:
    ///
    /// ```text
    /// m ← m + (1 − β₁)(g − m)
    /// u ← max(β₂ u, |g|)
    /// w ← w − η m / ((1 − β₁ᵗ)(u + ε))
    /// ```
    ///
    /// Slots: `momentum` m and `norm` u.
    ///
    /// Sources: Kingma & Ba, [*Adam*](https://arxiv.org/abs/1412.6980) (2014), section 7.1;
    /// [Keras](https://keras.io/api/optimizers/adamax/).
    #[derive(Clone, Debug)]
    pub struct AdamaxRule as "keras.optimizers.Adamax" of Adamax {
        /// How much of the old mean of the gradient stays, β₁, in `[0, 1)`. Default 0.9.
        beta_1: f64 = 0.9 => require_decay,
        /// How much of the largest gradient stays from step to step, β₂, in `[0, 1)`. Default 0.999.
        beta_2: f64 = 0.999 => require_decay,
        /// Keeps the denominator from zero, ε ≥ 0. Default 1e-7.
        epsilon: f64 = 1e-7 => require_rate,
    }
}

impl BuiltIn for AdamaxRule {}

impl UpdateRule for AdamaxRule {
    fn slots(&self, parameter: &ParameterInfo) -> Vec<Slot> {
        vec![
            Slot::like(parameter, "momentum"),
            Slot::like(parameter, "norm"),
        ]
    }

    fn update(
        &self,
        step: &Step<'_>,
        value: &mut [f32],
        gradient: &[f32],
        slots: &mut [&mut [f32]],
    ) {
        let (rate, epsilon) = (step.learning_rate, self.epsilon as f32);
        let (keep_1, beta_2) = ((1.0 - self.beta_1) as f32, self.beta_2 as f32);
        let rest_1 = 1.0 - (self.beta_1 as f32).powf(step.count as f32);
        elementwise::two_slots(value, gradient, slots, |w, g, m, u| {
            let m = m + (g - m) * keep_1;
            // In this order, a gradient that is not a number is taken over.
            let u = if beta_2 * u > g.abs() {
                beta_2 * u
            } else {
                g.abs()
            };
            (w - rate * m / (rest_1 * (u + epsilon)), m, u)
        });
    }

    fn elementwise(&self, _: &ParameterInfo) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::golden;
    use crate::rules::Adamax;

    #[test]
    fn every_variant_moves_as_in_keras() {
        golden::compare("Adamax");
    }

    #[test]
    fn the_defaults_are_those_of_keras() {
        golden::compare_defaults(Adamax::default());
    }
}
