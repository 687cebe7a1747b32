//! AdamW: Adam with weight decay that does not pass through the moments.

use std::ops::{Deref, DerefMut};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::AdamRule;
use crate::builder::BuiltIn;
use crate::{ParameterInfo, Result, Slot, Step, UpdateRule};

/// AdamW: [`AdamRule`] with a weight decay of 0.004 by default. The decay itself,
/// `w ← w − w · weight_decay · η` before Adam's step, is common to all optimizers, so that
/// `Adam::new(rate).weight_decay(0.004)` makes the same steps.
///
/// Sources: Loshchilov & Hutter, [*Decoupled Weight Decay
/// Regularization*](https://arxiv.org/abs/1711.05101) (2017);
/// [Keras](https://keras.io/api/optimizers/adamw/).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AdamWRule(AdamRule);

impl BuiltIn for AdamWRule {
    const WEIGHT_DECAY: Option<f64> = Some(0.004);
}

setters! { AdamW;
    /// How much of the old mean of the gradient stays, β₁, in `[0, 1)`. Default 0.9.
    beta_1: f64;
    /// How much of the old mean of the squared gradient stays, β₂, in `[0, 1)`. Default 0.999.
    beta_2: f64;
    /// Keeps the denominator from zero, ε ≥ 0. Default 1e-7 (PyTorch: 1e-8).
    epsilon: f64;
    /// Whether to divide by the largest v so far. Default no.
    amsgrad: bool;
}

impl Deref for AdamWRule {
    type Target = AdamRule;

    fn deref(&self) -> &AdamRule {
        &self.0
    }
}

impl DerefMut for AdamWRule {
    fn deref_mut(&mut self) -> &mut AdamRule {
        &mut self.0
    }
}

impl UpdateRule for AdamWRule {
    fn class_name(&self) -> &str {
        "AdamW"
    }

    fn slots(&self, parameter: &ParameterInfo) -> Vec<Slot> {
        self.0.slots(parameter)
    }

    fn update(
        &self,
        step: &Step<'_>,
        value: &mut [f32],
        gradient: &[f32],
        slots: &mut [&mut [f32]],
    ) {
        self.0.update(step, value, gradient, slots);
    }

    fn elementwise(&self, parameter: &ParameterInfo) -> bool {
        self.0.elementwise(parameter)
    }

    fn validate(&self) -> Result<()> {
        self.0.validate()
    }

    fn config(&self) -> Map<String, Value> {
        self.0.config()
    }
}

#[cfg(test)]
mod tests {
    use crate::golden;
    use crate::rules::AdamW;

    #[test]
    fn every_variant_moves_as_in_keras() {
        golden::compare("AdamW");
    }

    #[test]
    fn the_defaults_are_those_of_keras() {
        golden::compare_defaults(AdamW::default());
    }
}
