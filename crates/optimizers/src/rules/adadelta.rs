//! Adadelta: steps in proportion to the steps made lately.

use regraft_settings::{require_decay, require_rate};

use crate::builder::BuiltIn;
use crate::{ParameterInfo, Slot, Step, UpdateRule, elementwise};

rule! {
    /// Adadelta. With learning rate η and gradient g:
    ///
    /// ```text
    /// a ← ρ a + (1 − ρ) g²
    /// δ = −√(d + ε) · g / √(a + ε)
    /// d ← ρ d + (1 − ρ) δ²
    /// w ← w + η δ
    /// ```
    ///
    /// Slots: `accumulated_grad` a and `accumulated_delta_var` d.
    ///
    /// Sources: Zeiler, [*ADADELTA*](https://arxiv.org/abs/1212.5701) (2012), whose form is that of
    /// learning rate 1; [Keras](https://keras.io/api/optimizers/adadelta/).
    #[derive(Clone, Debug)]
    pub struct AdadeltaRule as "keras.optimizers.Adadelta" of Adadelta {
        /// How much of the old means stays, ρ, in `[0, 1)`. Default 0.95.
        rho: f64 = 0.95 => require_decay,
        /// Keeps both roots from zero, ε ≥ 0. Default 1e-7.
        epsilon: f64 = 1e-7 => require_rate,
    }
}

impl BuiltIn for AdadeltaRule {}

impl UpdateRule for AdadeltaRule {
    fn slots(&self, parameter: &ParameterInfo) -> Vec<Slot> {
        vec![
            Slot::like(parameter, "accumulated_grad"),
            Slot::like(parameter, "accumulated_delta_var"),
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
        let (rho, rest) = (self.rho as f32, (1.0 - self.rho) as f32);
        elementwise::two_slots(value, gradient, slots, |w, g, a, d| {
            let a = rho * a + rest * (g * g);
            let delta = -((d + epsilon).sqrt() * g / (a + epsilon).sqrt());
            let d = rho * d + rest * (delta * delta);
            (w + rate * delta, a, d)
        });
    }

    fn elementwise(&self, _: &ParameterInfo) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::golden;
    use crate::rules::Adadelta;

    #[test]
    fn every_variant_moves_as_in_keras() {
        golden::compare("Adadelta");
    }

    #[test]
    fn the_defaults_are_those_of_keras() {
        golden::compare_defaults(Adadelta::default());
    }
}
