//! Adamax: Adam with the largest gradient in place of the root mean square.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::fields;
use crate::builder::BuiltIn;
use crate::error::{Result, require_non_negative, require_rate};
use crate::{ParameterInfo, Slot, Step, UpdateRule, elementwise};

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
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamaxRule {
    beta_1: f64,
    beta_2: f64,
    epsilon: f64,
}

impl Default for AdamaxRule {
    fn default() -> Self {
        AdamaxRule {
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-7,
        }
    }
}

impl BuiltIn for AdamaxRule {}

setters! { Adamax;
    /// How much of the old mean of the gradient stays, β₁, in `[0, 1)`. Default 0.9.
    beta_1: f64;
    /// How much of the largest gradient stays from step to step, β₂, in `[0, 1)`. Default 0.999.
    beta_2: f64;
    /// Keeps the denominator from zero, ε ≥ 0. Default 1e-7.
    epsilon: f64;
}

impl UpdateRule for AdamaxRule {
    fn class_name(&self) -> &str {
        "Adamax"
    }

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

    fn validate(&self) -> Result<()> {
        require_rate("Adamax", "beta_1", self.beta_1)?;
        require_rate("Adamax", "beta_2", self.beta_2)?;
        require_non_negative("Adamax", "epsilon", self.epsilon)
    }

    fn config(&self) -> Map<String, Value> {
        fields(self)
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
