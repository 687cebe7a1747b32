//! Lion: steps of one size, in the direction of the sign of a momentum.

use regraft_settings::{Detail, require, require_decay};

use crate::builder::BuiltIn;
use crate::{ParameterInfo, Slot, Step, UpdateRule, elementwise};

rule! {
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
    #[derive(Clone, Debug)]
    pub struct LionRule as "keras.optimizers.Lion" of Lion {
        /// How much of the direction is momentum rather than gradient, β₁, above 0 and at most 1.
        /// Default 0.9.
        beta_1: f64 = 0.9 => above_zero_to_one,
        /// How much of the old momentum stays, β₂, in `[0, 1)`. Default 0.99.
        beta_2: f64 = 0.99 => require_decay,
    }
}

impl BuiltIn for LionRule {}

fn above_zero_to_one(at: &str, value: f64) -> Result<(), Detail> {
    let expected = "a number above 0 and at most 1";
    require(value > 0.0 && value <= 1.0, at, expected, value)
}

impl UpdateRule for LionRule {
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
