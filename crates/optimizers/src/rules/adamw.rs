//! AdamW: Adam with weight decay that does not pass through the moments.

use regraft_settings::{require_decay, require_rate};

use super::AdamRule;
use crate::builder::BuiltIn;
use crate::{ParameterInfo, Slot, Step, UpdateRule};

rule! {
    /// AdamW: [`AdamRule`] with a weight decay of 0.004 by default. The decay itself,
    /// `w ← w − w · weight_decay · η` before Adam's step, is common to all optimizers, so that
    /// `Adam::new(rate).weight_decay(0.004)` makes the same steps.
    ///
    /// Sources: Loshchilov & Hutter, [*Decoupled Weight Decay
    /// Regularization*](https://arxiv.org/abs/1711.05101) (2017);
    /// [Keras](https://keras.io/api/optimizers/adamw/).
    #[derive(Clone, Debug)]
    pub struct AdamWRule as "keras.optimizers.AdamW" of AdamW {
        /// How much of the old mean of the gradient stays, β₁, in `[0, 1)`. Default 0.9.
        beta_1: f64 = 0.9 => require_decay,
        /// How much of the old mean of the squared gradient stays, β₂, in `[0, 1)`. Default 0.999.
        beta_2: f64 = 0.999 => require_decay,
        /// Keeps the denominator from zero, ε ≥ 0. Default 1e-7 (PyTorch: 1e-8).
        epsilon: f64 = 1e-7 => require_rate,
        /// Whether to divide by the largest v so far. Default no.
        amsgrad: bool = false,
    }
}

impl BuiltIn for AdamWRule {
    const WEIGHT_DECAY: Option<f64> = Some(0.004);
}

impl AdamWRule {
    fn adam(&self) -> AdamRule {
        AdamRule::with(self.beta_1, self.beta_2, self.epsilon, self.amsgrad)
    }
}

impl UpdateRule for AdamWRule {
    fn slots(&self, parameter: &ParameterInfo) -> Vec<Slot> {
        self.adam().slots(parameter)
    }

    fn update(
        &self,
        step: &Step<'_>,
        value: &mut [f32],
        gradient: &[f32],
        slots: &mut [&mut [f32]],
    ) {
        self.adam().update(step, value, gradient, slots);
    }

    fn elementwise(&self, parameter: &ParameterInfo) -> bool {
        self.adam().elementwise(parameter)
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
