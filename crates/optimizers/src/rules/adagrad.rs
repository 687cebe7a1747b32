//! Adagrad: steps divided by the root of all squared gradients so far.

use regraft_settings::require_rate;

use crate::builder::BuiltIn;
use crate::{ParameterInfo, Slot, Step, UpdateRule, elementwise};

rule! {
    /// Adagrad. With learning rate η and gradient g:
    ///
    /// ```text
    /// a ← a + g²
    /// w ← w − η g / √(a + ε)
    /// ```
    ///
    /// Slot: `accumulator` a, which starts at `initial_accumulator_value`.
    ///
    /// Sources: Duchi et al., [*Adaptive Subgradient
    /// Methods*](https://www.jmlr.org/papers/volume12/duchi11a/duchi11a.pdf) (2011), whose form is that
    /// of learning rate 1; [Keras](https://keras.io/api/optimizers/adagrad/).
    #[derive(Clone, Debug)]
    pub struct AdagradRule as "keras.optimizers.Adagrad" of Adagrad {
        /// What the accumulator starts with, zero or more. Default 0.1.
        initial_accumulator_value: f64 = 0.1 => require_rate,
        /// Keeps the denominator from zero, ε ≥ 0. Default 1e-7.
        epsilon: f64 = 1e-7 => require_rate,
    }
}

impl BuiltIn for AdagradRule {}

impl UpdateRule for AdagradRule {
    fn slots(&self, parameter: &ParameterInfo) -> Vec<Slot> {
        let initial = self.initial_accumulator_value as f32;
        vec![Slot::like(parameter, "accumulator").initial(initial)]
    }

    fn update(
        &self,
        step: &Step<'_>,
        value: &mut [f32],
        gradient: &[f32],
        slots: &mut [&mut [f32]],
    ) {
        let (rate, epsilon) = (step.learning_rate, self.epsilon as f32);
        elementwise::one_slot(value, gradient, slots, |w, g, a| {
            let a = a + g * g;
            (w - rate * g / (a + epsilon).sqrt(), a)
        });
    }

    fn elementwise(&self, _: &ParameterInfo) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::golden;
    use crate::rules::Adagrad;

    #[test]
    fn every_variant_moves_as_in_keras() {
        golden::compare("Adagrad");
    }

    #[test]
    fn the_defaults_are_those_of_keras() {
        golden::compare_defaults(Adagrad::default());
    }
}
