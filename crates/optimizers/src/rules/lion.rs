//! Lion: steps of one size, in the direction of the sign of a momentum.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::fields;
use crate::builder::BuiltIn;
use crate::error::{Result, require, require_rate};
use crate::{ParameterInfo, Slot, Step, UpdateRule, elementwise};

/// Lion. With learning rate η and gradient g:
///
/// ```text
/// w ← w − η sign(β₁ m + (1 − β₁) g)
/// m ← β₂ m + (1 − β₂) g
/// ```
///
/// Slot: `momentum` m. Its authors advise a learning rate three to ten times smaller than AdamW's,
/// and a weight decay as many times larger.
///
/// Sources: Chen et al., [*Symbolic Discovery of Optimization
/// Algorithms*](https://arxiv.org/abs/2302.06675) (2023);
/// [Keras](https://keras.io/api/optimizers/lion/).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LionRule {
    beta_1: f64,
    beta_2: f64,
}

impl Default for LionRule {
    fn default() -> Self {
        LionRule {
            beta_1: 0.9,
            beta_2: 0.99,
        }
    }
}

impl BuiltIn for LionRule {}

setters! { Lion;
    /// How much of the direction is momentum rather than gradient, β₁, above 0 and at most 1.
    /// Default 0.9.
    beta_1: f64;
    /// How much of the old momentum stays, β₂, in `[0, 1)`. Default 0.99.
    beta_2: f64;
}

impl UpdateRule for LionRule {
    fn class_name(&self) -> &str {
        "Lion"
    }

    fn slots(&self, parameter: &ParameterInfo) -> Vec<Slot> {
        vec![Slot::like(parameter, "momentum")]
    }

    fn update(
        &self,
        step: &Step<'_>,
        value: &mut [f32],
        gradient: &[f32],
        slots: &mut [&mut [f32]],
    ) {
        let rate = step.learning_rate;
        let (beta_1, beta_2) = (self.beta_1 as f32, self.beta_2 as f32);
        elementwise::one_slot(value, gradient, slots, |w, g, m| {
            let direction = m * beta_1 + g * (1.0 - beta_1);
            // Zero and what is not a number are their own signs.
            let sign = if direction > 0.0 {
                1.0
            } else if direction < 0.0 {
                -1.0
            } else {
                direction
            };
            (w - rate * sign, m * beta_2 + g * (1.0 - beta_2))
        });
    }

    fn elementwise(&self, _: &ParameterInfo) -> bool {
        true
    }

    fn validate(&self) -> Result<()> {
        let valid = self.beta_1 > 0.0 && self.beta_1 <= 1.0;
        let expected = "a number above 0 and at most 1";
        require(valid, "Lion", "beta_1", expected, self.beta_1)?;
        require_rate("Lion", "beta_2", self.beta_2)
    }

    fn config(&self) -> Map<String, Value> {
        fields(self)
    }
}

#[cfg(test)]
mod tests {
    use crate::golden;
    use crate::rules::Lion;

    #[test]
    fn every_variant_moves_as_in_keras() {
        golden::compare("Lion");
    }

    #[test]
    fn the_defaults_are_those_of_keras() {
        golden::compare_defaults(Lion::default());
    }

    #[test]
    fn a_beta_of_zero_is_refused_as_in_keras() {
        assert!(Lion::new(0.1).beta_1(0.0).build().is_err());
    }
}
