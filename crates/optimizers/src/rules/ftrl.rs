//! Ftrl, "follow the regularized leader": for shallow models of many sparse features.

use regraft_settings::require_rate;

use super::require_not_above_zero;
use crate::builder::BuiltIn;
use crate::{ParameterInfo, Slot, Step, UpdateRule, elementwise};

rule! {
    /// Ftrl. With learning rate η, gradient g, power p (`learning_rate_power`, zero or less), the
    /// regularization strengths λ₁, λ₂ and s (`l2_shrinkage_regularization_strength`):
    ///
    /// ```text
    /// n' = n + g²
    /// z ← z + g + 2 s w − (n'⁻ᵖ − n⁻ᵖ) / η · w
    /// w ← (clip(z, −λ₁, λ₁) − z) / (n'⁻ᵖ / η + 2 (λ₂ + β / (2 η)))
    /// n ← n'
    /// ```
    ///
    /// Slots: `accumulator` n, which starts at `initial_accumulator_value`, and `linear` z.
    ///
    /// The new weight follows from z alone, which starts at zero: the first steps *forget the weights
    /// that a parameter came with*, as in Keras. It is no rule for fine-tuning. Where Keras divides by
    /// zero (learning rate 0; no gradient yet and an accumulator of 0), the weight stays here.
    ///
    /// Sources: McMahan et al., [*Ad Click Prediction*](https://research.google/pubs/pub41159/)
    /// (2013); [Keras](https://keras.io/api/optimizers/ftrl/).
    #[derive(Clone, Debug)]
    pub struct FtrlRule as "keras.optimizers.Ftrl" of Ftrl {
        /// How the learning rate falls with the squared gradients, zero or less. Default -0.5.
        learning_rate_power: f64 = -0.5 => require_not_above_zero,
        /// What the accumulator starts with, zero or more. Default 0.1.
        initial_accumulator_value: f64 = 0.1 => require_rate,
        /// λ₁, which makes weights exactly zero, zero or more. Default 0.
        l1_regularization_strength: f64 = 0.0 => require_rate,
        /// λ₂, a stabilization penalty, zero or more. Default 0.
        l2_regularization_strength: f64 = 0.0 => require_rate,
        /// A penalty on the size of the weights, zero or more. Default 0.
        l2_shrinkage_regularization_strength: f64 = 0.0 => require_rate,
        /// The β of the paper, zero or more. Default 0.
        beta: f64 = 0.0 => require_rate,
    }
}

impl BuiltIn for FtrlRule {}

impl FtrlRule {
    fn update_with(
        &self,
        step: &Step<'_>,
        value: &mut [f32],
        gradient: &[f32],
        slots: &mut [&mut [f32]],
        power: impl Fn(f32) -> f32,
    ) {
        let rate = step.learning_rate;
        let shrinkage = (2.0 * self.l2_shrinkage_regularization_strength) as f32;
        let l1 = self.l1_regularization_strength as f32;
        let l2 = self.l2_regularization_strength as f32 + self.beta as f32 / (2.0 * rate);
        elementwise::two_slots(value, gradient, slots, |w, g, n, z| {
            let new = n + g * g;
            let powered = power(new);
            let z = z + (g + shrinkage * w - (powered - power(n)) / rate * w);
            let quadratic = powered / rate + 2.0 * l2;
            let moved = (z.clamp(-l1, l1) - z) / quadratic;
            (if quadratic == 0.0 { w } else { moved }, new, z)
        });
    }
}

impl UpdateRule for FtrlRule {
    fn slots(&self, parameter: &ParameterInfo) -> Vec<Slot> {
        let initial = self.initial_accumulator_value as f32;
        vec![
            Slot::like(parameter, "accumulator").initial(initial),
            Slot::like(parameter, "linear"),
        ]
    }

    fn update(
        &self,
        step: &Step<'_>,
        value: &mut [f32],
        gradient: &[f32],
        slots: &mut [&mut [f32]],
    ) {
        if step.learning_rate == 0.0 {
            return;
        }
        let power = -self.learning_rate_power as f32;
        if power == 0.5 {
            self.update_with(step, value, gradient, slots, f32::sqrt);
        } else {
            self.update_with(step, value, gradient, slots, |n| n.powf(power));
        }
    }

    fn elementwise(&self, _: &ParameterInfo) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::golden;
    use crate::rules::Ftrl;

    #[test]
    fn every_variant_moves_as_in_keras() {
        golden::compare("Ftrl");
    }

    #[test]
    fn the_defaults_are_those_of_keras() {
        golden::compare_defaults(Ftrl::default());
    }

    #[test]
    fn a_positive_power_is_refused() {
        let error = Ftrl::new(0.1).learning_rate_power(0.5).build().unwrap_err();
        assert!(error.to_string().contains("learning_rate_power"), "{error}");
    }
}
